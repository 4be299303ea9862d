"""The only file that knows how Routee spells a refusal, and what each one means."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from app.domain.masking import mask_callback_urls
from app.errors import Fault, RouteeRefused, RouteeUnavailable
from app.routee import reading, wire
from app.routee.exchange import Answer
from app.routee.reading import Payload
from app.routee.retry_after import retry_after_seconds


class Meaning(StrEnum):
    """What a refusal means, by a stable slug."""

    BALANCE_TOO_LOW = "balance-too-low"
    RECIPIENT_MALFORMED = "recipient-malformed"
    LAYOUT_NOT_SUPPORTED = "layout-not-supported"
    VIDEO_LAYOUT_NOT_SUPPORTED = "video-layout-not-supported"
    VIDEO_IN_SESSION_MESSAGE = "video-in-session-message"
    FILE_TOO_LARGE = "file-too-large"
    FILE_TYPE_NOT_SUPPORTED = "file-type-not-supported"
    SESSION_MESSAGE_KIND_NOT_SUPPORTED = "session-message-kind-not-supported"
    IMAGE_URL_INVALID = "image-url-invalid"
    TTL_TOO_LONG = "ttl-too-long"
    THUMBNAIL_TOO_LONG = "thumbnail-too-long"
    VIDEO_TOO_LARGE = "video-too-large"
    VIDEO_TOO_LONG = "video-too-long"
    FIELD_INVALID = "field-invalid"
    CONTACT_NOT_FOUND = "contact-not-found"
    SENDER_NOT_FOUND = "sender-not-found"
    CAMPAIGN_NAME_IN_USE = "campaign-name-in-use"
    CAMPAIGN_NOT_FOUND = "campaign-not-found"
    CAMPAIGN_NOT_SCHEDULED = "campaign-not-scheduled"
    VIBER_NOT_ACTIVATED = "viber-not-activated"
    ACCESS_DENIED = "access-denied"
    NOT_FOUND = "not-found"
    #: Any other.
    REFUSED = "refused"


#: What to do about it, for the person who asked.
_ADVICE: Final[Mapping[Meaning, str]] = {
    Meaning.BALANCE_TOO_LOW: (
        "The balance of the Routee account is too low. Top it up, then launch again."
    ),
    Meaning.RECIPIENT_MALFORMED: (
        "A recipient is malformed, so Routee refused the whole request. Numbers are in E.164, "
        "like +306912345678."
    ),
    Meaning.LAYOUT_NOT_SUPPORTED: (
        "The body has a layout that is not supported. Allowed are Text, Image, File, Text+Action "
        "and Text+Action+Image."
    ),
    Meaning.VIDEO_LAYOUT_NOT_SUPPORTED: (
        "The body combines a video with what it cannot be combined with. Allowed are Video, "
        "Video+Text and Video+Text+Image."
    ),
    Meaning.VIDEO_IN_SESSION_MESSAGE: (
        "A session message cannot have a video. Leave out the video or isSessionMessage."
    ),
    Meaning.FILE_TOO_LARGE: "The file is too large. At most 600 KB are allowed.",
    Meaning.FILE_TYPE_NOT_SUPPORTED: (
        "The type of the file is not supported. fileType is a bare extension, like pdf."
    ),
    Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED: (
        "A session message of this kind is not supported. Allowed are Text, Image and File."
    ),
    Meaning.IMAGE_URL_INVALID: (
        "The image URL is not usable. It must be a valid https URL of at most 1000 characters."
    ),
    Meaning.TTL_TOO_LONG: "The ttl is too long. At most 86400 seconds are allowed.",
    Meaning.THUMBNAIL_TOO_LONG: (
        "The URL of the video's thumbnail is not usable. It must be a valid https URL of at most "
        "1000 characters."
    ),
    Meaning.VIDEO_TOO_LARGE: "The video is too large. At most 200 MB are allowed.",
    Meaning.VIDEO_TOO_LONG: "The video is too long. At most 600 seconds are allowed.",
    Meaning.FIELD_INVALID: "A field of the request is not valid. Mend it, then launch again.",
    Meaning.CONTACT_NOT_FOUND: "A contact id does not exist in the Routee account.",
    Meaning.SENDER_NOT_FOUND: (
        "The sender id is not correct. senderInfoTrackingId is the id of a Viber sender of the "
        "Routee account."
    ),
    Meaning.CAMPAIGN_NAME_IN_USE: (
        "The Routee account has a campaign of that name. Choose another campaignName."
    ),
    Meaning.CAMPAIGN_NOT_FOUND: "Routee knows no campaign of that trackingId.",
    Meaning.CAMPAIGN_NOT_SCHEDULED: (
        "The campaign is no longer scheduled, so it cannot be deleted."
    ),
    Meaning.VIBER_NOT_ACTIVATED: (
        "Viber is not activated for the Routee account. Routee activates it on request, by its "
        "Viber Application Form."
    ),
    Meaning.ACCESS_DENIED: (
        "Routee denied access, with a fresh token too. Check that the application may use Viber: "
        "it is available only after Routee's Viber Application Form."
    ),
    Meaning.NOT_FOUND: "Routee knows nothing of that id.",
    Meaning.REFUSED: "Routee refused the request.",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One way to know a refusal. Of two rows with the same code the first that fits counts."""

    code: str
    meaning: Meaning
    field: str
    error_code: str | None = None
    #: Fits the text as well, because it is unknown where, and whether, the errorCode stands.
    words: re.Pattern[str] | None = None


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_BODY_CODE: Final = "400019002"
_FIELD_CODE: Final = "400000000"

_ROWS: Final = (
    _Row("400001009", Meaning.BALANCE_TOO_LOW, ""),
    _Row(_BODY_CODE, Meaning.RECIPIENT_MALFORMED, "to", "001"),
    _Row(_BODY_CODE, Meaning.LAYOUT_NOT_SUPPORTED, "body", "007"),
    _Row(_BODY_CODE, Meaning.FILE_TOO_LARGE, "body.viberFile", "016"),
    _Row(_BODY_CODE, Meaning.FILE_TYPE_NOT_SUPPORTED, "body.viberFile.fileType", "019"),
    _Row(_BODY_CODE, Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED, "isSessionMessage", "020"),
    _Row(
        _BODY_CODE,
        Meaning.VIDEO_IN_SESSION_MESSAGE,
        "isSessionMessage",
        words=_words(r"video.*session|session.*video"),
    ),
    _Row(_BODY_CODE, Meaning.VIDEO_LAYOUT_NOT_SUPPORTED, "body.viberVideo", words=_words("video")),
    _Row(
        _BODY_CODE,
        Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED,
        "isSessionMessage",
        words=_words("session"),
    ),
    _Row(
        _BODY_CODE,
        Meaning.FILE_TYPE_NOT_SUPPORTED,
        "body.viberFile.fileType",
        words=_words(r"file.?type|type of (the )?file|file extension"),
    ),
    _Row(
        _BODY_CODE,
        Meaning.FILE_TOO_LARGE,
        "body.viberFile",
        words=_words(r"file.*(size|large|big|600|kb)|size.*file"),
    ),
    _Row(
        _BODY_CODE,
        Meaning.RECIPIENT_MALFORMED,
        "to",
        words=_words(r"recipient|msisdn|phone|mobile number"),
    ),
    _Row(
        _BODY_CODE,
        Meaning.LAYOUT_NOT_SUPPORTED,
        "body",
        words=_words("layout|combination|text.*(action|image)"),
    ),
    _Row(_BODY_CODE, Meaning.FIELD_INVALID, "body"),
    _Row(
        _FIELD_CODE,
        Meaning.THUMBNAIL_TOO_LONG,
        "body.viberVideo.videoThumbnail",
        words=_words("thumbnail"),
    ),
    _Row(_FIELD_CODE, Meaning.IMAGE_URL_INVALID, "body.imageURL", words=_words("image")),
    _Row(_FIELD_CODE, Meaning.TTL_TOO_LONG, "ttl", words=_words(r"\bttl\b|time.?to.?live")),
    _Row(
        _FIELD_CODE,
        Meaning.VIDEO_TOO_LONG,
        "body.viberVideo.duration",
        words=_words(r"duration|video.*(\bsec|\b600\b|too long)"),
    ),
    _Row(
        _FIELD_CODE,
        Meaning.VIDEO_TOO_LARGE,
        "body.viberVideo.fileSize",
        words=_words(r"video.*(size|large|big|\bmb\b|\b200\b)|file.?size"),
    ),
    _Row(_FIELD_CODE, Meaning.FIELD_INVALID, ""),
    _Row("404002001", Meaning.CONTACT_NOT_FOUND, "contacts"),
    _Row("404020001", Meaning.SENDER_NOT_FOUND, "senderInfoTrackingId"),
    _Row("409009003", Meaning.CAMPAIGN_NAME_IN_USE, "campaignName"),
    _Row("404009001", Meaning.CAMPAIGN_NOT_FOUND, ""),
    _Row("400009002", Meaning.CAMPAIGN_NOT_SCHEDULED, ""),
)

_BY_STATUS: Final[Mapping[int, Meaning]] = {
    401: Meaning.ACCESS_DENIED,
    403: Meaning.ACCESS_DENIED,
    404: Meaning.NOT_FOUND,
}

#: Definite whatever the body says: they are about who asks, not about what.
_ABOUT_ACCESS: Final = frozenset({401, 403})
_REQUEST_TIMEOUT: Final = 408
_TOO_MANY_REQUESTS: Final = 429
_CLIENT_ERROR: Final = range(400, 500)
#: By their definition nothing was done, even if the body is not Routee's: wrong address or method,
#: too large, or somebody else was meant (RFC 9110).
_NOT_TAKEN: Final = frozenset({301, 307, 308, 404, 405, 413, 414, 415, 421, 429, 431})

_VIBER: Final = _words("viber")
_VIBER_IS_OFF: Final = _words(
    r"viber\b.*\b(not|isn't|no)\b.*\b(activ|enabl|subscri)"
    r"|\b(not|no)\b.*\b(activ|enabl|subscri)\w*\b.*\bviber"
)
_MAX_TEXT_CHARACTERS: Final = 2000
_MAX_CODE_CHARACTERS: Final = 64
_CODE: Final = re.compile(r"(\d{9})(?:\.0+)?")
_ERROR_CODE: Final = re.compile(r"\d{1,3}")
#: The errorCode within a text: named as such, behind the nine digits, or leading.
_ERROR_CODE_IN_TEXT: Final = re.compile(
    r"error.?code\W{0,4}(\d{3})(?!\d)|\b[45]\d{8}\s*[/:-]\s*(\d{3})(?!\d)|^\W*(0\d\d)(?!\d)",
    re.IGNORECASE,
)
_CODE_KEYS: Final = frozenset({"code", "errorCode"})
_PLACE_KEYS: Final = ("field", "property", "entity")
_REASON_KEYS: Final = ("developerMessage", "message")


def failure_of(answer: Answer, *, purpose: str) -> RouteeRefused | RouteeUnavailable:
    """
    The exception for an *answer* that is no 2xx.

    *purpose* is a verb phrase for messages.
    """
    payload = _payload(answer.body)
    definite = answer.status in _CLIENT_ERROR and answer.status not in {
        _REQUEST_TIMEOUT,
        _TOO_MANY_REQUESTS,
    }
    if definite and (payload or answer.status in _ABOUT_ACCESS):
        return _refused(answer.status, payload)
    return RouteeUnavailable(
        f"Routee answered {answer.status} to the request to {purpose}.",
        http_status=answer.status,
        may_have_been_accepted=answer.status not in _NOT_TAKEN,
        temporary=not definite and answer.status >= _CLIENT_ERROR.start,
        retry_after_seconds=retry_after_seconds(answer.headers),
    )


def _payload(body: bytes) -> dict[str, Any]:
    try:
        value = wire.parse(body)
    except wire.Unreadable:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else {}


def _refused(status: int, payload: Payload) -> RouteeRefused:
    errors = _errors(payload.get("errors"))
    properties = _properties(payload.get("properties"))
    said = _text(payload, *_REASON_KEYS, "error_description", "error")
    code = _first_code(payload, *errors)
    text = "\n".join((said or "", *properties.values(), *_messages(errors)))
    error_code = _error_code(payload, properties, errors, text)
    row = _row_for(code, error_code, text)
    meaning = _meaning(status, row, text)
    return RouteeRefused(
        _ADVICE[meaning],
        http_status=status,
        meaning=meaning,
        code=code,
        error_code=error_code,
        developer_message=said,
        properties=properties,
        faults=tuple(_faults(payload, properties, errors))
        or _fault_of_row(row, meaning, code, error_code),
    )


def _meaning(status: int, row: _Row | None, text: str) -> Meaning:
    if row is not None:
        return row.meaning
    # Routee's words for this are not documented.
    pattern = _VIBER if status in _ABOUT_ACCESS else _VIBER_IS_OFF
    if pattern.search(text):
        return Meaning.VIBER_NOT_ACTIVATED
    return _BY_STATUS.get(status, Meaning.REFUSED)


def _row_for(code: str | None, error_code: str | None, text: str) -> _Row | None:
    rows = [row for row in _ROWS if row.code == code]
    by_error_code = (row for row in rows if row.error_code and row.error_code == error_code)
    by_words = (row for row in rows if row.words and row.words.search(text))
    by_code = (row for row in rows if not row.error_code and not row.words)
    return next(by_error_code, None) or next(by_words, None) or next(by_code, None)


def _first_code(*payloads: Payload) -> str | None:
    for payload in payloads:
        found = reading.text(payload, "code", limit=_MAX_CODE_CHARACTERS)
        if found is not None:
            match = _CODE.fullmatch(found)
            return match[1] if match else found
    return None


def _error_code(
    payload: Payload, properties: Mapping[str, str], errors: list[Payload], text: str
) -> str | None:
    for place in (payload, properties, *errors):
        found = reading.text(place, "errorCode")
        if found is not None and _ERROR_CODE.fullmatch(found):
            return found.zfill(3)
    match = _ERROR_CODE_IN_TEXT.search(text)
    return next(filter(None, match.groups())) if match else None


def _properties(value: object) -> dict[str, str]:
    """`properties {field: text}`; a list of texts for one field becomes one text."""
    if not isinstance(value, dict):
        return {}
    return {_shown(field): _shown(text) for field, text in value.items()}


def _errors(value: object) -> list[Payload]:
    """`errors[]`: objects, or texts alone."""
    if not isinstance(value, list):
        return []
    items = [{"message": item} if isinstance(item, str) else item for item in value]
    return [item for item in items if isinstance(item, dict)]


def _messages(errors: list[Payload]) -> Iterator[str]:
    return (_text(error, *_REASON_KEYS) or "" for error in errors)


def _faults(
    payload: Payload, properties: Mapping[str, str], errors: list[Payload]
) -> Iterator[Fault]:
    code = _first_code(payload)
    error_code = _error_code(payload, properties, [], "")
    for name, text in properties.items():
        if name not in _CODE_KEYS:
            yield Fault(name, text, code, error_code)
    for error in errors:
        yield _fault(error, code, error_code)
    if _text(payload, "property") not in {None, *properties}:
        yield _fault(payload, code, error_code)


def _fault(payload: Payload, code: str | None, error_code: str | None) -> Fault:
    """The fault that *payload* describes; the codes are those of its surroundings."""
    return Fault(
        _text(payload, *_PLACE_KEYS) or "",
        _text(payload, *_REASON_KEYS) or "Routee gave no reason.",
        _first_code(payload) or code,
        _error_code(payload, {}, [], "") or error_code,
    )


def _fault_of_row(
    row: _Row | None, meaning: Meaning, code: str | None, error_code: str | None
) -> tuple[Fault, ...]:
    if row is None or not row.field:
        return ()
    return (Fault(row.field, _ADVICE[meaning], code, error_code),)


def _text(payload: Payload, *keys: str) -> str | None:
    found = reading.text(payload, *keys, limit=_MAX_TEXT_CHARACTERS)
    return None if found is None else mask_callback_urls(found)


def _shown(value: object) -> str:
    """Any value as text that a caller may see: Routee can quote our callback URLs."""
    text = reading.as_text(value, _MAX_TEXT_CHARACTERS)
    if text is None:
        text = wire.serialise(value).decode(errors="replace")[:_MAX_TEXT_CHARACTERS]
    return mask_callback_urls(text)
