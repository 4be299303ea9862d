"""The ledger: everything that was simulated, and the fate of each callback."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from app.sandbox.requests import CampaignRequest, Recipient

#: The ranks of the statuses. This is not the service's own table on purpose, because the service is
#: checked against the ledger.
RANK_BY_STATUS = {
    "QUEUED": 1,
    "SENT": 2,
    "UNDELIVERED": 3,
    "EXPIRED": 3,
    "FAILED": 3,
    "UNSENT": 3,
    "DELIVERED": 4,
    "SEEN": 5,
}


class Fate(Enum):
    """The state of a callback."""

    #: The campaign has no URL for it.
    UNASKED = "unasked"
    #: Never posted, on purpose.
    LOST = "lost"
    #: Posted until it is acknowledged or abandoned.
    PENDING = "pending"
    #: Answered with 200 in time, at least once.
    ACKNOWLEDGED = "acknowledged"
    #: The last attempt was not acknowledged either. It may have arrived nevertheless.
    ABANDONED = "abandoned"


#: The fates of callbacks that a receiver may have, and must have once all are acknowledged.
POSTED = frozenset({Fate.PENDING, Fate.ACKNOWLEDGED, Fate.ABANDONED})


class EventKey(NamedTuple):
    """The identity of one status of a message; equal callbacks have equal keys."""

    message_tracking_id: str
    status: str
    occurred_at: datetime


class InboundKey(NamedTuple):
    """The identity of one reply; equal callbacks have equal keys."""

    reference_tracking_id: str
    sent_at: datetime
    message: str | None


@dataclass(frozen=True, slots=True)
class StatusReason:
    """Why a message has its status, in Routee's words."""

    detailed_status: str
    description: str


@dataclass(slots=True, eq=False)
class Occurrence:
    """One status of one message; the instant has whole milliseconds, as in Routee's JSON."""

    status: str
    reason: StatusReason | None
    occurred_at: datetime
    fate: Fate = Fate.UNASKED

    @property
    def weight(self) -> tuple[int, datetime, str]:
        """The sort key: the greatest occurrence is the status of the message."""
        return RANK_BY_STATUS[self.status], self.occurred_at, self.status


@dataclass(slots=True, eq=False)
class SimulatedReply:
    """An inbound message that answers an outbound one."""

    message: str | None
    media: str | None
    filename: str | None
    sent_at: datetime
    fate: Fate = Fate.UNASKED


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedMessage:
    """One outbound message and all that happened to it, in the order in which it happened."""

    tracking_id: str
    recipient: Recipient
    occurrences: tuple[Occurrence, ...]
    replies: tuple[SimulatedReply, ...]

    @property
    def to(self) -> str:
        """The recipient's number, with `+`."""
        return self.recipient.number

    @property
    def created_at(self) -> datetime:
        """When it was first queued."""
        return self.occurrences[0].occurred_at

    @property
    def final(self) -> Occurrence:
        """The greatest occurrence, lost or not, which tracking answers."""
        return max(self.occurrences, key=lambda occurrence: occurrence.weight)

    @property
    def final_posted(self) -> Occurrence | None:
        """The greatest occurrence that is posted, or None if none is."""
        posted = [occurrence for occurrence in self.occurrences if occurrence.fate in POSTED]
        return max(posted, key=lambda occurrence: occurrence.weight, default=None)


@dataclass(slots=True)
class Launches:
    """
    The requests for a campaign of one name, accepted or not.

    Routee accepts one campaign of a name, and another one only after that was deleted.
    """

    #: When each request arrived, also those with a fault or a stale token.
    arrived_at: list[datetime] = field(default_factory=list)
    #: The number that Routee accepted, whether the client got the answer or not.
    accepted: int = 0
    #: The nine digits of each refusal, in order; faults and stale tokens do not count.
    refusal_codes: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """The number of requests that arrived."""
        return len(self.arrived_at)


@dataclass(slots=True, eq=False)
class SimulatedCampaign:
    """
    An accepted campaign; `messages` by tracking id is empty until a scheduled one begins.

    `expected_…` is what a receiver has once everything is posted and nothing was abandoned.
    """

    tracking_id: str
    request: CampaignRequest
    accepted_at: datetime
    state: str
    #: The number of campaigns accepted before; with the seed it decides the scenarios.
    number: int
    messages: dict[str, SimulatedMessage] = field(default_factory=dict)

    @property
    def expected_statuses(self) -> dict[str, str]:
        """The greatest posted status by message id, of messages with any posted status."""
        finals = ((message.tracking_id, message.final_posted) for message in self.messages.values())
        return {tracking_id: final.status for tracking_id, final in finals if final}

    @property
    def expected_events(self) -> frozenset[EventKey]:
        """Every status that is posted, once."""
        return self.events_of(POSTED)

    @property
    def lost_events(self) -> frozenset[EventKey]:
        """Every status that is never posted although a callback URL was given."""
        return self.events_of({Fate.LOST})

    @property
    def expected_inbound(self) -> frozenset[InboundKey]:
        """Every reply that is posted, once."""
        return frozenset(
            InboundKey(message.tracking_id, reply.sent_at, reply.message)
            for message in self.messages.values()
            for reply in message.replies
            if reply.fate in POSTED
        )

    def events_of(self, fates: Collection[Fate]) -> frozenset[EventKey]:
        """Every status whose callback has one of these fates, once."""
        return frozenset(
            EventKey(message.tracking_id, occurrence.status, occurrence.occurred_at)
            for message in self.messages.values()
            for occurrence in message.occurrences
            if occurrence.fate in fates
        )
