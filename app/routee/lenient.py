"""
The spellings of a callback and of an inbound message, read from any JSON.

`translate` reads documented callbacks by itself and leaves everything else to this module.
"""

from typing import Any, Final, NamedTuple
from uuid import UUID

from app.domain.event import UNKNOWN_TIME, DeliveryEvent, Source
from app.domain.inbound_message import InboundMessage, identity_of
from app.domain.quarantine import Reason
from app.domain.status import RANK, Status
from app.routee import reading
from app.routee.reading import (
    MAX_CAMPAIGN_NAME_CHARACTERS,
    MAX_COUNTRY_CHARACTERS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_LABEL_CHARACTERS,
    MAX_REASON_CHARACTERS,
    MAX_SENDER_CHARACTERS,
    MAX_STATUS_CHARACTERS,
    Payload,
    UnusableId,
)
from app.routee.wire import Unreadable, parse, serialise

Record = DeliveryEvent | InboundMessage

#: More elements of one request could not be stored within the acknowledgement budget.
MAX_ELEMENTS: Final = 1000

# Where there are several spellings, the first readable one counts.
_MESSAGE_ID = ("trackingId", "messageId")
_CAMPAIGN_ID = ("campaignTrackingId",)
_REFERENCE_ID = ("referenceTrackingId",)
_CAMPAIGN_NAME = ("campaignName", "campaign")
_STATUS_WORD = ("name", "status")
_STATUS_TIME_INSIDE = ("updatedDate", "date")
_STATUS_TIME_OUTSIDE = ("updatedDate",)
_CREATED = ("createdAt",)
_SENT = ("sentDate",)
_FILENAME = ("filename", "fileName")

# fmt: off
_KNOWN_KEYS: Final = frozenset((
    "action", "applicationName", "body", "campaign", "campaignName", "campaignTrackingId",
    "country", "createdAt", "direction", "expireOnDelivery", "fileName", "filename", "from",
    "groups", "imageURL", "imageUrl", "inboundUrl", "label", "media", "message", "messageId",
    "originatingService", "price", "referenceTrackingId", "sentDate", "sessionId",
    "sessionMessage", "status", "to", "trackingId", "ttl", "updatedDate", "viberAction",
    "viberFile", "viberVideo",
))
# fmt: on


class Translation(NamedTuple):
    """The records in a request body, and what is wrong or unusual about it."""

    records: tuple[Record, ...]
    #: Why the whole body goes to the quarantine, besides what was stored of it; else None.
    reason: Reason | None
    #: Names of what is unusual, for counting. None of them is an error.
    oddities: frozenset[str]


NO_ODDITIES: Final[frozenset[str]] = frozenset()


def translate_leniently(body: bytes, campaign_id: UUID | None) -> Translation:
    """Read any request body. Never raises: `reason` says why it cannot be read."""
    try:
        value = parse(body)
    except Unreadable as error:
        return Translation((), error.reason, NO_ODDITIES)
    if isinstance(value, dict):
        return _translate_object(value, body, campaign_id)
    if isinstance(value, list) and value:
        return _translate_array(value, campaign_id)
    return Translation((), Reason.NOT_AN_OBJECT, NO_ODDITIES)


def _translate_object(payload: Payload, body: bytes, campaign_id: UUID | None) -> Translation:
    try:
        record = _record(payload, body, campaign_id, reserialised=False)
    except Unreadable as error:
        return Translation((), error.reason, NO_ODDITIES)
    return Translation((record,), None, _oddities(payload, record))


def _translate_array(elements: list[Any], campaign_id: UUID | None) -> Translation:
    if len(elements) > MAX_ELEMENTS:
        return Translation((), Reason.TOO_MANY_ELEMENTS, NO_ODDITIES)
    records: list[Record] = []
    reasons: list[Reason] = []
    oddities = {"array"}
    for element in elements:
        try:
            record = _element(element, campaign_id)
        except Unreadable as error:
            reasons.append(error.reason)
        else:
            records.append(record)
            oddities |= _oddities(element, record)
    if reasons and records:
        reasons = [Reason.PARTLY_UNREADABLE]
    return Translation(tuple(records), reasons[0] if reasons else None, frozenset(oddities))


def _element(element: object, campaign_id: UUID | None) -> Record:
    if not isinstance(element, dict):
        raise Unreadable(Reason.NOT_AN_OBJECT)
    try:
        body = serialise(element)
    except RecursionError:
        raise Unreadable(Reason.NOT_JSON) from None
    return _record(element, body, campaign_id, reserialised=True)


def _record(
    payload: Payload, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> Record:
    try:
        message_id = reading.identifier(payload, *_MESSAGE_ID)
        has_status = payload.get("status") is not None
        if message_id is not None and (has_status or not _is_inbound(payload)):
            return _event(payload, message_id, body, campaign_id, reserialised=reserialised)
        if _is_inbound(payload):
            return _inbound(payload, body, campaign_id, reserialised=reserialised)
    except UnusableId:
        raise Unreadable(Reason.UNUSABLE_ID) from None
    raise Unreadable(Reason.NO_MESSAGE_ID)


def _is_inbound(payload: Payload) -> bool:
    direction = payload.get("direction")
    return (
        (isinstance(direction, str) and direction.lower() == "inbound")
        or payload.get("sentDate") is not None
        or payload.get("referenceTrackingId") is not None
    )


def _event(
    payload: Payload, message_id: str, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> DeliveryEvent:
    status = payload.get("status")
    inside: Payload = status if isinstance(status, dict) else {"status": status}
    word = reading.text(inside, *_STATUS_WORD, limit=MAX_STATUS_CHARACTERS) or ""
    key = word.upper()[:MAX_STATUS_CHARACTERS]
    created_at = reading.time(payload, *_CREATED)
    occurred_at = (
        reading.time(inside, *_STATUS_TIME_INSIDE)
        or reading.time(payload, *_STATUS_TIME_OUTSIDE)
        or (created_at if key == Status.QUEUED else None)
        or UNKNOWN_TIME
    )
    detailed_status, description = _reason(inside.get("reason"))
    return DeliveryEvent(
        message_tracking_id=message_id,
        status_key=key,
        occurred_at=occurred_at,
        provider_status=word,
        detailed_status=detailed_status,
        description=description,
        campaign_tracking_id=reading.identifier(payload, *_CAMPAIGN_ID),
        campaign_id=campaign_id,
        recipient=reading.number(payload, "to"),
        sender=reading.text(payload, "from", limit=MAX_SENDER_CHARACTERS),
        country=reading.text(payload, "country", limit=MAX_COUNTRY_CHARACTERS),
        label=reading.text(payload, "label", limit=MAX_LABEL_CHARACTERS),
        price=reading.as_money(payload.get("price")),
        created_at=created_at,
        source=Source.CALLBACK,
        payload=body,
        payload_dictionary=0,
        payload_reserialised=reserialised,
    )


def _reason(value: object) -> tuple[str | None, str | None]:
    if isinstance(value, dict):
        return (
            reading.text(value, "detailedStatus", limit=MAX_REASON_CHARACTERS),
            reading.text(value, "description", limit=MAX_DESCRIPTION_CHARACTERS),
        )
    return reading.as_text(value, MAX_REASON_CHARACTERS), None


def _inbound(
    payload: Payload, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> InboundMessage:
    sender = reading.number(payload, "from")
    recipient = reading.text(payload, "to", limit=MAX_SENDER_CHARACTERS)
    sent_at = reading.time(payload, *_SENT)
    message = reading.text(payload, "message")
    media = reading.text(payload, "media")
    filename = reading.text(payload, *_FILENAME)
    reference = reading.identifier(payload, *_REFERENCE_ID)
    return InboundMessage(
        identity=identity_of(
            sender=sender,
            recipient=recipient,
            reference_tracking_id=reference,
            sent=sent_at.isoformat() if sent_at else reading.text(payload, *_SENT),
            message=message,
            media=media,
            filename=filename,
        ),
        sender=sender,
        recipient=recipient,
        message=message,
        media=media,
        filename=filename,
        sent_at=sent_at,
        campaign_tracking_id=reading.identifier(payload, *_CAMPAIGN_ID),
        campaign_name=reading.text(payload, *_CAMPAIGN_NAME, limit=MAX_CAMPAIGN_NAME_CHARACTERS),
        campaign_id=campaign_id,
        reference_tracking_id=reference,
        label=reading.text(payload, "label", limit=MAX_LABEL_CHARACTERS),
        payload=body,
        payload_dictionary=0,
        payload_reserialised=reserialised,
    )


def _oddities(payload: Payload, record: Record) -> frozenset[str]:
    found: list[str] = []
    if not payload.keys() <= _KNOWN_KEYS:
        found.append("unknown-field")
    if isinstance(record, DeliveryEvent):
        if record.status_rank == RANK[Status.UNKNOWN]:
            found.append("unknown-status")
        if record.occurred_at is UNKNOWN_TIME:
            found.append("unknown-time")
    return frozenset(found) if found else NO_ODDITIES
