"""
The spellings of a callback and of an inbound message, read from any JSON.

`translate` reads documented callbacks by itself and leaves everything else to this module.
"""

import hashlib
import json
from itertools import chain, islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.domain.campaign_progress import CampaignProgress
from app.domain.event import UNKNOWN_TIME, DeliveryEvent, Source
from app.domain.inbound_message import (
    Content,
    InboundMessage,
    identity_of,
    identity_of_bytes,
    identity_of_id,
)
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

Record = DeliveryEvent | InboundMessage | CampaignProgress

#: More elements of one request could not be stored within the acknowledgement budget.
MAX_ELEMENTS: Final = 1000
#: Routee has about ten words for the state of a message.
MAX_PROGRESS_WORDS: Final = 100
#: Of `bigint` in the database.
_MAX_COUNT: Final = 2**63 - 1

#: Stands for each character that a column cannot hold.
_REPLACED: Final = "\ufffd"

# Where there are several spellings, the first readable one counts.
_MESSAGE_ID = ("trackingId", "messageId")
_CAMPAIGN_ID = ("campaignTrackingId",)
_REFERENCE_ID = ("referenceTrackingId",)
_CAMPAIGN_NAME = ("campaignName", "campaign")
_STATUS_WORD = ("name", "status")
_STATUS_TIME_INSIDE = ("updatedDate", "date")
_STATUS_TIME_OUTSIDE = ("updatedDate",)
_CREATED = ("createdAt",)
_SENT = ("sentDate", "receivedDate", "timestamp")
_OWN_ID = ("messageId", "id")
_FILENAME = ("filename", "fileName")
# Of a campaign's progress, whose `trackingId` is the campaign.
_CAMPAIGN = ("campaignTrackingId", "trackingId")
_PROGRESS_NAME = ("name", "campaignName")
_PROGRESS_TIME = ("updatedDate", "updatedAt", "date")
_PROGRESS_SIGNS = ("campaignStatus", "messageStatuses")

#: What a leg has from its envelope if it has none itself, as it is the same for all legs.
_INHERITED: Final = (
    "campaignTrackingId", "campaignName", "campaign", "label", "direction", "to", "country",
)  # fmt: skip
#: Of a text that is copied into up to a thousand legs: one more than an id may have, so that an id
#: which is too long stays so.
_MAX_INHERITED_CHARACTERS: Final = reading.MAX_ID_BYTES + 1

# fmt: off
_KNOWN_KEYS: Final = frozenset((
    "action", "applicationName", "body", "campaign", "campaignName", "campaignTrackingId",
    "country", "createdAt", "direction", "expireOnDelivery", "fileName", "filename", "from",
    "groups", "imageURL", "imageUrl", "inboundUrl", "label", "media", "message", "messageId",
    "originatingService", "price", "referenceTrackingId", "sentDate", "sessionId",
    "sessionMessage", "status", "to", "trackingId", "ttl", "updatedDate", "viberAction",
    "viberFile", "viberVideo",
))
_KNOWN_OF_PROGRESS: Final = frozenset((
    *_CAMPAIGN, *_PROGRESS_NAME, *_PROGRESS_TIME, *_PROGRESS_SIGNS, "callbackInfo",
    "totalRecipients",
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
        if _is_envelope(value):
            return _translate_elements(_legs(value), campaign_id, oddity="envelope")
        return _translate_object(value, body, campaign_id)
    if isinstance(value, list) and value:
        return _translate_elements(_elements(value), campaign_id, oddity="array")
    return Translation((), Reason.NOT_AN_OBJECT, NO_ODDITIES)


def _translate_object(payload: Payload, body: bytes, campaign_id: UUID | None) -> Translation:
    try:
        record = _record(payload, body, campaign_id, reserialised=False)
    except Unreadable as error:
        return Translation((), error.reason, NO_ODDITIES)
    return Translation((record,), None, _oddities(payload, record))


def _is_envelope(payload: Payload) -> bool:
    """
    Whether it is a flow of messages, each with a progress of its own.

    Routee documents them for failover, with a plain word for the state of the whole flow.
    """
    legs = payload.get("messages")
    if not isinstance(legs, list) or not any(isinstance(leg, dict) for leg in legs):
        return False
    status = payload.get("status")
    if status is None:
        return True
    return isinstance(status, str) and any(
        isinstance(leg, dict) and leg.get("status") is not None for leg in legs
    )


def _legs(envelope: Payload) -> list[Any]:
    """
    The messages of *envelope* with what they inherit, after its own report of a campaign, if any.

    At most `MAX_ELEMENTS` + 2.
    """
    given = {name: _inheritable(envelope.get(name)) for name in _INHERITED}
    legs = [_with_inherited(leg, given) for leg in envelope["messages"][: MAX_ELEMENTS + 1]]
    rest = {name: value for name, value in envelope.items() if name != "messages"}
    return [rest, *legs] if _is_progress(rest) else legs


def _inheritable(value: object) -> str | int | None:
    if isinstance(value, str):
        return value[:_MAX_INHERITED_CHARACTERS]
    return value if isinstance(value, int) else None


def _with_inherited(leg: object, given: Payload) -> object:
    if not isinstance(leg, dict):
        return leg
    lacking = {name: value for name, value in given.items() if leg.get(name) is None}
    return leg | {name: value for name, value in lacking.items() if value is not None}


def _elements(array: list[Any]) -> list[Any]:
    """The elements of *array*, each envelope replaced by its legs: `MAX_ELEMENTS` + 1 at most."""
    return list(islice(chain.from_iterable(map(_parts, array)), MAX_ELEMENTS + 1))


def _parts(element: Any) -> list[Any]:  # noqa: ANN401 (any JSON)
    is_envelope = isinstance(element, dict) and _is_envelope(element)
    return _legs(element) if is_envelope else [element]


def _translate_elements(
    elements: list[Any], campaign_id: UUID | None, *, oddity: str
) -> Translation:
    if len(elements) > MAX_ELEMENTS:
        return Translation((), Reason.TOO_MANY_ELEMENTS, NO_ODDITIES)
    records: list[Record] = []
    reasons: list[Reason] = []
    oddities = {oddity}
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
    return _record(element, _serialised(element), campaign_id, reserialised=True)


def _serialised(payload: Payload) -> bytes:
    try:
        return serialise(payload)
    except RecursionError:
        raise Unreadable(Reason.NOT_JSON) from None


def _record(
    payload: Payload, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> Record:
    """
    What *payload* reports.

    Only a status makes it progress of a message. Without one, a body may report a campaign, or be
    a reply; an id alone tells nothing.
    """
    try:
        if payload.get("status") is None:
            return _without_status(payload, body, campaign_id, reserialised=reserialised)
        message_id = reading.identifier(payload, *_MESSAGE_ID)
        if message_id is not None:
            return _event(payload, message_id, body, campaign_id, reserialised=reserialised)
        if _is_inbound(payload):
            return _inbound(payload, body, campaign_id, reserialised=reserialised)
    except UnusableId:
        raise Unreadable(Reason.UNUSABLE_ID) from None
    raise Unreadable(Reason.NO_MESSAGE_ID)


def _without_status(
    payload: Payload, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> Record:
    if _is_progress(payload):
        return _progress(payload, body, campaign_id, reserialised=reserialised)
    message_id = reading.identifier(payload, *_MESSAGE_ID)
    if _is_inbound(payload):
        return _inbound(payload, body, campaign_id, reserialised=reserialised)
    reading.identifier(payload, *_CAMPAIGN_ID)  # that it is unusable says more than the rest
    raise Unreadable(Reason.NO_MESSAGE_ID if message_id is None else Reason.NO_STATUS)


def _is_progress(payload: Payload) -> bool:
    """Whether it reports a campaign as a whole."""
    return payload.get("status") is None and any(
        payload.get(sign) is not None for sign in _PROGRESS_SIGNS
    )


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
    spelt = reading.text(inside, *_STATUS_WORD) or ""
    word = spelt[:MAX_STATUS_CHARACTERS]
    key = word.upper()[:MAX_STATUS_CHARACTERS]
    created_at = reading.time(payload, *_CREATED)
    occurred_at = (
        reading.time(inside, *_STATUS_TIME_INSIDE)
        or reading.time(payload, *_STATUS_TIME_OUTSIDE)
        or (created_at if key == Status.QUEUED else None)
        or UNKNOWN_TIME
    )
    is_whole = len(spelt) == len(word) and _REPLACED not in word
    is_told_apart = key and is_whole and occurred_at is not UNKNOWN_TIME
    detailed_status, description = _reason(inside.get("reason"))
    return DeliveryEvent(
        message_tracking_id=message_id,
        status_key=key,
        occurred_at=occurred_at,
        digest=b"" if is_told_apart else hashlib.sha256(body).digest(),
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
    sent = sent_at.isoformat() if sent_at else reading.text(payload, *_SENT)
    content = Content(sender, recipient, reference, sent, message, media, filename)
    return InboundMessage(
        identity=_identity_by_id(payload) or _identity_by_content(content, body),
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


def _progress(
    payload: Payload, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> CampaignProgress:
    tracking_id = reading.identifier(payload, *_CAMPAIGN)
    if tracking_id is None:
        raise Unreadable(Reason.NO_MESSAGE_ID)
    return CampaignProgress(
        # The same report alone and in an array is one.
        identity=hashlib.sha256(_serialised(payload)).digest(),
        campaign_tracking_id=tracking_id,
        campaign_id=campaign_id,
        status=reading.text(payload, "campaignStatus", limit=MAX_STATUS_CHARACTERS),
        reported_at=reading.time(payload, *_PROGRESS_TIME),
        name=reading.text(payload, *_PROGRESS_NAME, limit=MAX_CAMPAIGN_NAME_CHARACTERS),
        total_recipients=_count(payload.get("totalRecipients")),
        message_statuses=json.dumps(_counts(payload.get("messageStatuses"))),
        payload=body,
        payload_dictionary=0,
        payload_reserialised=reserialised,
    )


def _counts(value: object) -> dict[str, int]:
    """How many messages are in which state; what is no count of a word is in the payload only."""
    if not isinstance(value, dict):
        return {}
    counts: dict[str, int] = {}
    for spelt, number in value.items():
        word, count = reading.as_text(spelt, MAX_STATUS_CHARACTERS), _count(number)
        if word is not None and count is not None:
            counts[word] = count
    return dict(islice(counts.items(), MAX_PROGRESS_WORDS))


def _count(value: object) -> int | None:
    amount = reading.as_money(value)
    if amount is None or amount != int(amount) or not 0 <= amount <= _MAX_COUNT:
        return None
    return int(amount)


def _identity_by_id(payload: Payload) -> bytes | None:
    """The identity of a reply that has an id of its own, which may be of any length."""
    for name in _OWN_ID:
        value = payload.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = reading.as_text(value)
        if isinstance(value, str) and value:
            return identity_of_id(name, value)
    return None


def _identity_by_content(content: Content, body: bytes) -> bytes:
    """The identity by what tells replies apart; the bytes decide if that is missing or was lost."""
    is_whole = not any(part and _REPLACED in part for part in content)
    return identity_of(content) if content.sent and is_whole else identity_of_bytes(body)


def _oddities(payload: Payload, record: Record) -> frozenset[str]:
    found: list[str] = []
    known = _KNOWN_OF_PROGRESS if isinstance(record, CampaignProgress) else _KNOWN_KEYS
    if not payload.keys() <= known:
        found.append("unknown-field")
    if isinstance(record, DeliveryEvent):
        if record.status_rank == RANK[Status.UNKNOWN]:
            found.append("unknown-status")
        if record.occurred_at is UNKNOWN_TIME:
            found.append("unknown-time")
    return frozenset(found) if found else NO_ODDITIES
