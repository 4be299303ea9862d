"""One normalised fact from the provider: a message reached a status at a time."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.domain.merge import greatest, least
from app.domain.phone_number import better_number
from app.domain.status import rank_of

#: The time of an event whose callback has no usable time. It is never our own clock, because a
#: callback that is repeated later must be the same event.
UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)

EventIdentity = tuple[str, str, datetime, bytes]


class Source(IntEnum):
    """Where an event comes from."""

    #: Routee posted it.
    CALLBACK = 0
    #: We asked Routee's tracking endpoint.
    TRACKING = 1


class DeliveryEvent(NamedTuple):
    """
    A normalised callback.

    A tuple, in the order of the database's type `callback_event`.
    """

    #: The provider's id of the message, at most 512 bytes of UTF-8.
    message_tracking_id: str
    #: The provider's word for the status, upper-cased; empty if there is none.
    status_key: str
    #: When the status was reached, or `UNKNOWN_TIME`.
    occurred_at: datetime
    #: SHA-256 of the payload where word or time do not distinguish the event; else empty.
    digest: bytes
    #: The provider's word as it is spelt there, at most 64 characters.
    provider_status: str
    detailed_status: str | None
    description: str | None
    campaign_tracking_id: str | None
    #: Our own campaign, if the callback came through that campaign's token.
    campaign_id: UUID | None
    #: The number that the message was sent to.
    recipient: str | None
    #: The Viber sender of the message.
    sender: str | None
    country: str | None
    label: str | None
    price: Decimal | None
    #: When Routee created the message.
    created_at: datetime | None
    source: Source
    #: The callback, byte for byte.
    payload: bytes
    #: The dictionary with which `payload` is compressed; 0 if it is not.
    payload_dictionary: int
    #: Whether `payload` is an element of an array, serialised again.
    payload_reserialised: bool

    @property
    def identity(self) -> EventIdentity:
        """Equal for two callbacks of the same event. Routee sends no event id."""
        return self[:4]

    @property
    def status_rank(self) -> int:
        """The rank of the status."""
        return rank_of(self.status_key)

    @property
    def order(self) -> tuple[int, datetime, str]:
        """The sort key of a message's events: the greatest one is the current status."""
        return (self.status_rank, self.occurred_at, self.status_key)


def merged_event(kept: DeliveryEvent, other: DeliveryEvent) -> DeliveryEvent:
    """
    Two reports of one event, which have the same identity, merged into one.

    Source and payload are those of *kept*. Every other column merges commutatively.
    """
    greater = max(kept, other, key=_wording)
    return kept._replace(
        provider_status=greater.provider_status,
        detailed_status=greater.detailed_status,
        description=greater.description,
        campaign_tracking_id=least(kept.campaign_tracking_id, other.campaign_tracking_id),
        campaign_id=least(kept.campaign_id, other.campaign_id),
        recipient=better_number(kept.recipient, other.recipient),
        sender=least(kept.sender, other.sender),
        country=least(kept.country, other.country),
        label=least(kept.label, other.label),
        price=greatest(kept.price, other.price),
        created_at=least(kept.created_at, other.created_at),
    )


def _wording(event: DeliveryEvent) -> tuple[str, str, str]:
    return (event.provider_status, event.detailed_status or "", event.description or "")
