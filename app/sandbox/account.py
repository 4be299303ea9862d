"""The only file of the simulator that keeps an account: its balance, campaigns and their names."""

import uuid
from datetime import datetime
from decimal import Decimal

from app.sandbox.ledger import Launches, SimulatedCampaign, SimulatedMessage
from app.sandbox.requests import CampaignRequest

SCHEDULED = "Scheduled"
QUEUED = "Queued"


class SimulatedAccount:
    """What Routee holds of its one customer."""

    def __init__(self, *, balance: Decimal) -> None:
        #: What is left to spend; each accepted campaign lowers it.
        self.balance = balance
        #: False until Routee has got the Viber Application Form; then nothing of Viber answers.
        self.is_viber_activated = True
        #: Every accepted campaign by tracking id, in order, without deleted ones.
        self.campaigns: dict[str, SimulatedCampaign] = {}
        #: What came in by campaign name, in the order of the first request of each.
        self.launches: dict[str, Launches] = {}
        self._names_in_use: set[str] = set()
        self._campaign_by_message: dict[str, SimulatedCampaign] = {}
        self._accepted = 0

    def note_arrival(self, name: str, *, at: datetime) -> None:
        """Count a request for a campaign of *name*, whatever becomes of it."""
        self.launches.setdefault(name, Launches()).arrived_at.append(at)

    def note_refusal(self, name: str | None, code: str) -> None:
        """Remember why a request that has come in under *name* is refused."""
        if name:
            self.launches[name].refusal_codes.append(code)

    def has_campaign_named(self, name: str | None) -> bool:
        """Whether *name* is taken; that of a deleted campaign is free again."""
        return name in self._names_in_use

    def accept(self, asked: CampaignRequest, *, now: datetime) -> SimulatedCampaign:
        """Take *asked*, which nothing speaks against, into the ledger; the account pays."""
        is_later = asked.scheduled_at is not None and asked.scheduled_at > now
        campaign = SimulatedCampaign(
            tracking_id=str(uuid.uuid4()),
            request=asked,
            accepted_at=now,
            state=SCHEDULED if is_later else QUEUED,
            number=self._accepted,
        )
        self._accepted += 1
        self.balance -= asked.cost
        self.campaigns[campaign.tracking_id] = campaign
        if asked.name:
            self._names_in_use.add(asked.name)
            self.launches[asked.name].accepted += 1
        return campaign

    def delete(self, campaign: SimulatedCampaign) -> None:
        """Forget *campaign*, and give back what was paid for it."""
        del self.campaigns[campaign.tracking_id]
        self._names_in_use.discard(campaign.request.name or "")
        self.balance += campaign.request.cost

    def add_message(self, campaign: SimulatedCampaign, message: SimulatedMessage) -> None:
        """Write *message* of *campaign* into the ledger."""
        campaign.messages[message.tracking_id] = message
        self._campaign_by_message[message.tracking_id] = campaign

    def find_campaign_of(self, message_tracking_id: str) -> SimulatedCampaign | None:
        """The campaign that a message belongs to."""
        return self._campaign_by_message.get(message_tracking_id)
