"""
From the bytes of a callback to events and inbound messages.

Nearly all callbacks are progress callbacks as documented. A typed parser reads these: it checks
types and lengths as it goes, and takes 6 µs instead of 14. Everything that it refuses, or that is
unusual, is read by `lenient`, which gives the same result for a documented callback.
"""

from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from app.domain.event import DeliveryEvent, Source
from app.domain.phone_number import is_canonical
from app.domain.status import RANK, Status, rank_of
from app.routee import reading
from app.routee.lenient import NO_ODDITIES, Record, Translation, translate_leniently

__all__ = ["NO_ODDITIES", "Record", "Translation", "translate"]

_Id = Annotated[str, Meta(min_length=1, max_length=reading.MAX_ID_BYTES)]
_Number = Annotated[str, Meta(min_length=1, max_length=reading.MAX_NUMBER_CHARACTERS)]
_Word = Annotated[str, Meta(min_length=1, max_length=reading.MAX_STATUS_CHARACTERS)]
_Sender = Annotated[str, Meta(min_length=1, max_length=reading.MAX_SENDER_CHARACTERS)]
_Country = Annotated[str, Meta(min_length=1, max_length=reading.MAX_COUNTRY_CHARACTERS)]
_Label = Annotated[str, Meta(min_length=1, max_length=reading.MAX_LABEL_CHARACTERS)]
_Detail = Annotated[str, Meta(min_length=1, max_length=reading.MAX_REASON_CHARACTERS)]
_Description = Annotated[str, Meta(min_length=1, max_length=reading.MAX_DESCRIPTION_CHARACTERS)]

_NOTHING: Final = Raw(b"")


class _StatusReason(msgspec.Struct, rename="camel"):
    detailed_status: _Detail | None = None
    description: _Description | None = None


class _Status(msgspec.Struct, rename="camel"):
    name: _Word
    updated_date: str
    reason: _StatusReason | None = None


class _Callback(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The known fields; those of type `Raw` are kept in the payload only."""

    tracking_id: _Id
    status: _Status
    campaign_tracking_id: _Id | None = None
    to: _Number | None = None
    sender: _Sender | None = msgspec.field(default=None, name="from")
    country: _Country | None = None
    label: _Label | None = None
    price: Any = None
    created_at: str | None = None
    action: Raw = _NOTHING
    application_name: Raw = _NOTHING
    body: Raw = _NOTHING
    direction: Raw = _NOTHING
    expire_on_delivery: Raw = _NOTHING
    groups: Raw = _NOTHING
    image_url: Raw = msgspec.field(default=_NOTHING, name="imageURL")
    inbound_url: Raw = _NOTHING
    originating_service: Raw = _NOTHING
    session_id: Raw = _NOTHING
    session_message: Raw = _NOTHING
    ttl: Raw = _NOTHING
    viber_action: Raw = _NOTHING
    viber_file: Raw = _NOTHING
    viber_video: Raw = _NOTHING


_DECODER: Final = msgspec.json.Decoder(_Callback, float_hook=Decimal)
_REFUSED: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
_UNKNOWN: Final = RANK[Status.UNKNOWN]


def translate(body: bytes, *, campaign_id: UUID | None = None) -> Translation:
    """
    Read a request body. Never raises: `reason` says why it cannot be read.

    *campaign_id* is the campaign whose token it came through.
    """
    event = find_documented_event(body, campaign_id)
    if event is not None:
        return Translation((event,), None, NO_ODDITIES)
    return translate_leniently(body, campaign_id)


def find_documented_event(body: bytes, campaign_id: UUID | None) -> DeliveryEvent | None:
    """The event in *body* if it is a progress callback as documented, else None."""
    # ASCII without \u escapes holds no character that a column refuses.
    if not body.isascii() or rb"\u" in body:
        return None
    try:
        callback = _DECODER.decode(body)
    except _REFUSED:
        return None
    status = callback.status
    key = status.name.upper()
    occurred_at = reading.as_time(status.updated_date)
    if rank_of(key) == _UNKNOWN or occurred_at is None:
        return None
    status_reason = status.reason
    to = callback.to
    return DeliveryEvent(
        callback.tracking_id,
        key,
        occurred_at,
        b"",
        status.name,
        None if status_reason is None else status_reason.detailed_status,
        None if status_reason is None else status_reason.description,
        callback.campaign_tracking_id,
        campaign_id,
        to if to is None or is_canonical(to) else reading.as_number(to),
        callback.sender,
        callback.country,
        callback.label,
        reading.as_money(callback.price),
        None if callback.created_at is None else reading.as_time(callback.created_at),
        Source.CALLBACK,
        body,
        0,
        False,  # noqa: FBT003 (naming the fields of the tuple costs half a µs)
    )
