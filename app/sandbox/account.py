"""The simulated account: its balance, its campaigns and their names."""

import uuid
from datetime import datetime
from decimal import Decimal

from app.sandbox.ledger import Launches, SimulatedCampaign, SimulatedMessage
from app.sandbox.requests import CampaignRequest

SCHEDULED = "Scheduled"
QUEUED = "Queued"


class SimulatedAccount:
    """The state that the simulated Routee holds for its one customer."""

    def __init__(self, *, balance: Decimal) -> None:
        #: The money left; each accepted campaign lowers it.
        self.balance = balance
        #: If False, the Viber Application Form is missing and all Viber endpoints refuse.
        self.is_viber_activated = True
        #: Every accepted campaign by tracking id, in order, without deleted ones.
        self.campaigns: dict[str, SimulatedCampaign] = {}
        #: The launch requests by campaign name, in the order of the first request of each.
        self.launches: dict[str, Launches] = {}
        self._names_in_use: set[str] = set()
        self._campaign_by_message: dict[str, SimulatedCampaign] = {}
        self._accepted = 0

    def note_arrival(self, name: str, *, at: datetime) -> None:
        """Count a request for a campaign of *name*, whether it is accepted or not."""
        self.launches.setdefault(name, Launches()).arrived_at.append(at)

    def note_refusal(self, name: str | None, code: str) -> None:
        """Record why a request for a campaign of *name* is refused."""
        if name:
            self.launches[name].refusal_codes.append(code)

    def has_campaign_named(self, name: str | None) -> bool:
        """Whether *name* is in use; deleting a campaign frees its name."""
        return name in self._names_in_use

    def accept(self, asked: CampaignRequest, *, now: datetime) -> SimulatedCampaign:
        """Add the campaign *asked* for, which passed all rules, and charge the account."""
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
        """Delete *campaign*, and refund its cost."""
        del self.campaigns[campaign.tracking_id]
        self._names_in_use.discard(campaign.request.name or "")
        self.balance += campaign.request.cost

    def add_message(self, campaign: SimulatedCampaign, message: SimulatedMessage) -> None:
        """Add *message* of *campaign* to the ledger."""
        campaign.messages[message.tracking_id] = message
        self._campaign_by_message[message.tracking_id] = campaign

    def find_campaign_of(self, message_tracking_id: str) -> SimulatedCampaign | None:
        """The campaign that a message belongs to."""
        return self._campaign_by_message.get(message_tracking_id)
