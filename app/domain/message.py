"""
The projection of a message: the state that all its events lead to, in any order.

Every column merges commutatively, associatively and idempotently. `append_events.sql` does the
same, and a property test compares the two.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Final, NamedTuple
from uuid import UUID

from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.merge import greatest, least
from app.domain.phone_number import better_number
from app.domain.status import FAILURES, Status, status_of


class Message(NamedTuple):
    """The current state of one message."""

    message_tracking_id: str
    #: The first six columns are those of the greatest event by rank, time and word.
    status_rank: int
    status_at: datetime
    status_key: str
    provider_status: str
    detailed_status: str | None
    description: str | None
    #: The least of the reported ones, of numbers the best; None until a callback reports one.
    campaign_tracking_id: str | None
    campaign_id: UUID | None
    recipient: str | None
    sender: str | None
    country: str | None
    label: str | None
    created_at: datetime | None
    price: Decimal | None
    #: The next five are the earliest known time of each status.
    queued_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    seen_at: datetime | None
    failed_at: datetime | None
    #: The range of all known times, which says what partitions hold the history.
    first_occurred_at: datetime | None
    last_occurred_at: datetime | None

    @property
    def status(self) -> Status:
        """The status in our vocabulary."""
        return status_of(self.status_key)


#: These columns are taken together from the greatest event.
STATUS_COLUMNS: Final = (
    "status_rank",
    "status_at",
    "status_key",
    "provider_status",
    "detailed_status",
    "description",
)

#: How each other column merges another value.
MERGES: Final[dict[str, Callable[..., object]]] = {
    "campaign_tracking_id": least,
    "campaign_id": least,
    "recipient": better_number,
    "sender": least,
    "country": least,
    "label": least,
    "created_at": least,
    "price": greatest,
    "queued_at": least,
    "sent_at": least,
    "delivered_at": least,
    "seen_at": least,
    "failed_at": least,
    "first_occurred_at": least,
    "last_occurred_at": greatest,
}

_STATUS_COUNT: Final = 1 + len(STATUS_COLUMNS)
_MERGES_IN_ORDER: Final = tuple(MERGES[name] for name in Message._fields[_STATUS_COUNT:])


def projected(event: DeliveryEvent) -> Message:
    """The state of a message after a single event."""
    at = event.occurred_at if event.occurred_at != UNKNOWN_TIME else None
    key = event.status_key
    return Message(
        event.message_tracking_id,
        event.status_rank,
        event.occurred_at,
        key,
        event.provider_status,
        event.detailed_status,
        event.description,
        event.campaign_tracking_id,
        event.campaign_id,
        event.recipient,
        event.sender,
        event.country,
        event.label,
        event.created_at,
        event.price,
        at if key == Status.QUEUED else None,
        at if key == Status.SENT else None,
        at if key == Status.DELIVERED else None,
        at if key == Status.SEEN else None,
        at if key in FAILURES else None,
        at,
        at,
    )


def merged(one: Message, other: Message) -> Message:
    """Two states of the same message merged into one."""
    leading = max(one, other, key=_status_order)
    rest = (
        merge(mine, theirs)
        for merge, mine, theirs in zip(
            _MERGES_IN_ORDER, one[_STATUS_COUNT:], other[_STATUS_COUNT:], strict=True
        )
    )
    return Message._make((*leading[:_STATUS_COUNT], *rest))


def project(events: Iterable[DeliveryEvent]) -> Message:
    """
    The state that *events*, all of one message and at least one, lead to.

    Raises:
        TypeError: there is no event.
    """
    return reduce(merged, map(projected, events))


def _status_order(message: Message) -> tuple[int, datetime, str, str, str, str]:
    return (
        message.status_rank,
        message.status_at,
        message.status_key,
        message.provider_status,
        message.detailed_status or "",
        message.description or "",
    )
