"""
The spellings of a callback and of an inbound message, read from any JSON.

`translate` reads documented callbacks by itself and leaves everything else to this module.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import Raw

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
from app.domain.status import RANK, Status, key_of
from app.domain.tracking_id import canonical_id
from app.kit.blanks import trimmed
from app.routee import reading
from app.routee.charsets import InUtf8, wide_in_utf8
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
from app.routee.wire import Unreadable, find_elements, parse_anyway, serialise

Record = DeliveryEvent | InboundMessage | CampaignProgress

#: More messages of one envelope would make too much of what each of them has from it.
MAX_LEGS: Final = 1000
#: So many elements of an array are read at once: in a few milliseconds.
PIECE_ELEMENTS: Final = 64
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


class Origin(NamedTuple):
    """Where a request body came in."""

    #: The campaign whose token it came through.
    campaign_id: UUID | None
    #: Whether it was posted to the address for replies.
    to_inbound: bool


def translate_leniently(body: bytes, origin: Origin, payload: bytes | None = None) -> Translation:
    """Read any request body, see `pieces_of`, at once."""
    return joined(pieces_of(body, origin, payload))


def pieces_of(body: bytes, origin: Origin, payload: bytes | None = None) -> Iterator[Translation]:
    """
    Read any request body, an array piece by piece: each a few milliseconds, at least one.

    It never raises: the `reason` of the last piece says why the body cannot be read.

    *payload* is what is stored of an object; *body* unless it was in another encoding.
    """
    octets, payload = wide_in_utf8(body) or InUtf8(body, payload or body)
    try:
        # Elements of a usual array are only looked for now, and parsed with their piece.
        value, has_ill_formed = find_elements(octets) or parse_anyway(octets)
    except Unreadable as error:
        yield Translation((), error.reason, NO_ODDITIES)
        return
    if isinstance(value, dict):
        if _is_envelope(value):
            legs = _parts_of([value], has_ill_formed=has_ill_formed)
            yield from _pieces_of_parts(legs, origin, oddity="envelope")
        else:
            yield _translate_object(value, payload, origin)
    elif isinstance(value, list) and value:
        parts = _parts_of(value, has_ill_formed=has_ill_formed)
        yield from _pieces_of_parts(parts, origin, oddity="array")
    else:
        yield Translation((), Reason.NOT_AN_OBJECT, NO_ODDITIES)


def joined(pieces: Iterable[Translation]) -> Translation:
    """The whole translation of a body."""
    first, *others = pieces
    if not others:
        return first
    records, reasons, oddities = zip(first, *others, strict=True)
    return Translation(
        tuple(chain.from_iterable(records)), reasons[-1], frozenset().union(*oddities)
    )


def _translate_object(payload: Payload, body: bytes, origin: Origin) -> Translation:
    try:
        record = _record(payload, body, origin, reserialised=False)
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

    Raises:
        Unreadable: there are more than `MAX_LEGS`.
    """
    if len(envelope["messages"]) > MAX_LEGS:
        raise Unreadable(Reason.TOO_MANY_ELEMENTS)
    given = {name: _inheritable(envelope.get(name)) for name in _INHERITED}
    legs = [_with_inherited(leg, given) for leg in envelope["messages"]]
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


class _Part(NamedTuple):
    """What is read by itself: an element, or a message of an envelope."""

    value: object
    has_ill_formed: bool


def _parts_of(elements: Iterable[object], *, has_ill_formed: bool) -> Iterator[_Part | Reason]:
    """The parts of *elements*, each envelope replaced by its legs; or why one cannot be read."""
    for element in elements:
        value, is_ill = element, has_ill_formed
        try:
            if isinstance(element, Raw):
                value, is_ill = parse_anyway(bytes(element))
            is_envelope = isinstance(value, dict) and _is_envelope(value)
            legs = _legs(value) if isinstance(value, dict) and is_envelope else [value]
        except Unreadable as error:
            yield error.reason
        else:
            yield from (_Part(leg, is_ill) for leg in legs)


def _pieces_of_parts(
    parts: Iterator[_Part | Reason], origin: Origin, *, oddity: str
) -> Iterator[Translation]:
    reason: Reason | None = None
    are_any_read = False
    piece = list(islice(parts, PIECE_ELEMENTS))
    while piece:
        records: list[Record] = []
        oddities = {oddity}
        for part in piece:
            try:
                payload, record = _read(part, origin)
            except Unreadable as error:
                reason = reason or error.reason
            else:
                records.append(record)
                oddities |= _oddities(payload, record)
        are_any_read = are_any_read or bool(records)
        piece = list(islice(parts, PIECE_ELEMENTS))
        if reason and are_any_read:
            reason = Reason.PARTLY_UNREADABLE
        yield Translation(tuple(records), None if piece else reason, frozenset(oddities))


def _read(part: _Part | Reason, origin: Origin) -> tuple[Payload, Record]:
    if isinstance(part, Reason):
        raise Unreadable(part)
    value, has_ill_formed = part
    if not isinstance(value, dict):
        raise Unreadable(Reason.NOT_AN_OBJECT)
    body = _serialised(value, has_ill_formed=has_ill_formed)
    return value, _record(value, body, origin, reserialised=True)


def _serialised(payload: Payload, *, has_ill_formed: bool = False) -> bytes:
    try:
        return serialise(payload, has_ill_formed=has_ill_formed)
    except RecursionError:
        raise Unreadable(Reason.NOT_JSON) from None


def _record(payload: Payload, body: bytes, origin: Origin, *, reserialised: bool) -> Record:
    """
    What *payload* reports.

    Only a status makes it progress of a message. Without one, a body may report a campaign, or be
    a reply; an id alone says nothing.
    """
    campaign_id = origin.campaign_id
    try:
        if _is_progress(payload):
            return _progress(payload, body, campaign_id, reserialised=reserialised)
        if _is_reply(payload, to_inbound=origin.to_inbound):
            return _inbound(payload, body, campaign_id, reserialised=reserialised)
        message_id = reading.identifier(payload, *_MESSAGE_ID)
        if message_id is not None and payload.get("status") is not None:
            return _event(payload, message_id, body, campaign_id, reserialised=reserialised)
        if _answers(payload):
            return _inbound(payload, body, campaign_id, reserialised=reserialised)
        reading.identifier(payload, *_CAMPAIGN_ID)  # that it is unusable says more than the rest
    except UnusableId:
        raise Unreadable(Reason.UNUSABLE_ID) from None
    raise Unreadable(Reason.NO_MESSAGE_ID if message_id is None else Reason.NO_STATUS)


def _is_progress(payload: Payload) -> bool:
    """Whether it reports a campaign as a whole."""
    return payload.get("status") is None and any(
        payload.get(sign) is not None for sign in _PROGRESS_SIGNS
    )


def _is_reply(payload: Payload, *, to_inbound: bool) -> bool:
    """
    Whether it is a reply, also if it has a message id.

    Routee's objects of a session have a status, whether sent or received. Such an object is a reply
    if it says so, or if it came to the address for replies and does not say the opposite.
    """
    direction = payload.get("direction")
    direction = trimmed(direction).lower() if isinstance(direction, str) else None
    if direction in ("inbound", "outbound"):
        return direction == "inbound"
    return _answers(payload) and (to_inbound or _is_blank(payload.get("status")))


def _answers(payload: Payload) -> bool:
    """Whether it has a member that only replies have."""
    return payload.get("sentDate") is not None or payload.get("referenceTrackingId") is not None


def _is_blank(value: object) -> bool:
    return not (trimmed(value) if isinstance(value, str) else value)


def _event(
    payload: Payload, message_id: str, body: bytes, campaign_id: UUID | None, *, reserialised: bool
) -> DeliveryEvent:
    status = payload.get("status")
    inside: Payload = status if isinstance(status, dict) else {"status": status}
    spelt = reading.word(inside, *_STATUS_WORD) or ""
    word = spelt[:MAX_STATUS_CHARACTERS]
    key = key_of(word)
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
            reading.word(value, "detailedStatus", limit=MAX_REASON_CHARACTERS),
            reading.word(value, "description", limit=MAX_DESCRIPTION_CHARACTERS),
        )
    return reading.as_word(value, MAX_REASON_CHARACTERS), None


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
    sent = sent_at.isoformat() if sent_at else reading.word(payload, *_SENT)
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
        status=reading.word(payload, "campaignStatus", limit=MAX_STATUS_CHARACTERS),
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
        word, count = reading.as_word(spelt, MAX_STATUS_CHARACTERS), _count(number)
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
        if isinstance(value, str) and (own_id := canonical_id(value)):
            return identity_of_id(name, own_id)
    return None


def _identity_by_content(content: Content, body: bytes) -> bytes:
    """The identity by what distinguishes replies; the bytes decide if that is missing or lost."""
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
