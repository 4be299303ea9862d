"""One fact about one message, as the provider told it: a message reached a status at a time."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.domain.merge import greatest, least
from app.domain.status import rank_of

#: Stands for "the provider gave no time that can be used". It is never our own clock: a callback
#: that is repeated after midnight must be the same event.
UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)

EventIdentity = tuple[str, str, datetime]


class Source(IntEnum):
    """How an event came to us."""

    #: Routee posted it.
    CALLBACK = 0
    #: We asked Routee's tracking endpoint.
    TRACKING = 1


class DeliveryEvent(NamedTuple):
    """
    A normalised callback.

    A tuple, because a batch of them is turned into columns by one `zip`.
    """

    #: The provider's id of the message, at most 512 bytes of UTF-8.
    message_tracking_id: str
    #: The provider's word for the status, upper-cased; empty when it gave none.
    status_key: str
    #: When the status was reached; `UNKNOWN_TIME` when the provider did not say.
    occurred_at: datetime
    #: The provider's word as it spelt it, at most 64 characters.
    provider_status: str
    detailed_status: str | None
    description: str | None
    campaign_tracking_id: str | None
    #: Our own campaign, when the callback came through its token.
    campaign_id: UUID | None
    #: The number the message went to.
    recipient: str | None
    #: The Viber sender it came from.
    sender: str | None
    country: str | None
    label: str | None
    price: Decimal | None
    #: Routee's own time of creation.
    created_at: datetime | None
    source: Source
    #: What arrived, byte for byte.
    payload: bytes
    #: With which dictionary `payload` is compressed; 0 when it is plain.
    payload_dictionary: int
    #: Whether `payload` is one element of an array, written out again.
    payload_reserialised: bool

    @property
    def identity(self) -> EventIdentity:
        """What makes two callbacks the same event. Routee sends no event id."""
        return self[:3]

    @property
    def status_rank(self) -> int:
        """The rank of the word."""
        return rank_of(self.status_key)

    @property
    def order(self) -> tuple[int, datetime, str]:
        """By what the current status of a message is chosen: the greatest wins."""
        return (self.status_rank, self.occurred_at, self.status_key)


def merged_event(kept: DeliveryEvent, other: DeliveryEvent) -> DeliveryEvent:
    """
    Two tellings of one event as one: what either knows is known. The payload of *kept* stays.

    Both have the same identity. Every column but source and payload merges commutatively.
    """
    told = max(kept, other, key=_telling)
    return kept._replace(
        provider_status=told.provider_status,
        detailed_status=told.detailed_status,
        description=told.description,
        campaign_tracking_id=least(kept.campaign_tracking_id, other.campaign_tracking_id),
        campaign_id=least(kept.campaign_id, other.campaign_id),
        recipient=least(kept.recipient, other.recipient),
        sender=least(kept.sender, other.sender),
        country=least(kept.country, other.country),
        label=least(kept.label, other.label),
        price=greatest(kept.price, other.price),
        created_at=least(kept.created_at, other.created_at),
    )


def _telling(event: DeliveryEvent) -> tuple[str, str, str]:
    return (event.provider_status, event.detailed_status or "", event.description or "")
