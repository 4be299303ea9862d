"""The fields of Routee's answer to a launch that the API passes on."""

import math
import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec

from app.domain.masking import mask_callback_urls
from app.kit.instants import parse_instant
from app.routee import reading
from app.routee.wire import find_object

#: From Routee's answer, or from the request where the answer has none.
_PASSED_ON: Final = (
    "type", "state", "createdAt", "senderInfoTrackingId", "senderInfoName", "to", "contacts",
    "groups", "campaignName", "scheduledDate", "body", "ttl", "totalMessages", "viberAnalysis",
    "label", "isSessionMessage", "respectQuietHours",
)  # fmt: skip
_URLS: Final = ("callbackUrl", "inboundUrl")
_MAX_DEPTH: Final = 32
_MAX_COUNT: Final = 2**31 - 1
_MAX_COUNT_DIGITS: Final = 10
#: RFC 3339 in UTC.
_UTC: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)


def passed_on(
    *, request: bytes | None, answer: bytes | None, left_out: Collection[str] = ()
) -> dict[str, Any]:
    """
    Routee's fields of a campaign without those *left_out*.

    Each is plain JSON of its one type, whatever Routee answered: callers' programs are made for
    that type. What cannot be read as it is None, and so is what is absent. The tokens in its URLs
    are masked.
    """
    wanted = tuple(name for name in _PASSED_ON if name not in left_out)
    asked, answered = (_members(body or b"", wanted) for body in (request, answer))
    fields = {name: _either(name, answered, asked) for name in wanted}
    for name in _URLS:
        url = _word(answered.get(name))
        fields[name] = None if url is None else mask_callback_urls(url)
    return fields


def _members(body: bytes, wanted: tuple[str, ...]) -> Mapping[str, Any]:
    """The members *wanted* of the object in *body*, and perhaps others."""
    if len(wanted) == len(_PASSED_ON):
        return find_object(body) or {}
    try:
        # A thousand recipients that are not wanted are skipped instead of being made into objects.
        return msgspec.structs.asdict(_decoder(wanted).decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return find_object(body) or {}


@cache
def _decoder(wanted: tuple[str, ...]) -> msgspec.json.Decoder[msgspec.Struct]:
    members = [(name, Any, None) for name in (*wanted, *_URLS)]
    return msgspec.json.Decoder(msgspec.defstruct("Members", members), float_hook=Decimal)


def recipients(request: bytes | None, *, most: int | None = None) -> list[str]:
    """The telephone numbers that *request* is to, each once, in their order; the first *most*."""
    asked = (find_object(request or b"") or {}).get("to")
    listed = asked if isinstance(asked, list) else []
    found: dict[str, None] = {}
    for number in filter(None, map(reading.as_number, listed)):
        if len(found) == most:
            break
        found[number] = None
    return list(found)


def _either(name: str, answered: Mapping[str, Any], asked: Mapping[str, Any]) -> object:
    read = _READERS.get(name, _word)
    value = read(answered.get(name))
    return read(asked.get(name)) if value is None else value


def _shown(value: object, depth: int = 0) -> object:
    """*value* as plain JSON. NaN, Infinity and values that are nested too deep become None."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {_text(key): _shown(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list):
        return [_shown(element, depth + 1) for element in value]
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    return reading.as_text(value) or ""


def _word(value: object) -> str | None:
    return _text(value) if isinstance(value, str) else reading.as_text(value)


def _words(value: object) -> list[str] | None:
    """The texts and numbers of an array."""
    if not isinstance(value, list):
        return None
    return [word for word in map(_word, value) if word is not None]


def _time(value: object) -> str | None:
    """ISO 8601 in UTC."""
    instant = reading.as_time(value)
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def _asked_time(value: object) -> str | None:
    """A time that the caller asked for: in the caller's spelling if that is ISO 8601 in UTC."""
    if isinstance(value, str) and _UTC.fullmatch(value) and parse_instant(value) is not None:
        return value
    return _time(value)


def as_count(value: object) -> int | None:
    """A whole number from 0 to 2³¹ - 1, also if it is written as text; else None."""
    digits = (reading.as_text(value) or "").strip()
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _MAX_COUNT_DIGITS:
        return None
    count = int(digits)
    return count if count <= _MAX_COUNT else None


def _flag(value: object) -> bool | None:
    return {"true": True, "false": False}.get((reading.as_text(value) or "").strip().lower())


def _object(value: object) -> dict[str, Any] | None:
    shown = _shown(value)
    return shown if isinstance(shown, dict) else None


#: How the fields are read that are no text.
_READERS: Final[dict[str, Callable[[object], object]]] = {
    "createdAt": _time,
    "scheduledDate": _asked_time,
    "to": _words,
    "contacts": _words,
    "groups": _words,
    "body": _object,
    "viberAnalysis": _object,
    "ttl": as_count,
    "totalMessages": as_count,
    "isSessionMessage": _flag,
    "respectQuietHours": _flag,
}
