"""The fields of Routee's answer to a launch that the API passes on."""

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec

from app.domain.masking import mask_callback_urls
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


def passed_on(
    *, request: bytes | None, answer: bytes | None, left_out: Collection[str] = ()
) -> dict[str, Any]:
    """
    Routee's fields of a campaign without those *left_out*; absent ones are None.

    The tokens in its URLs are masked.
    """
    wanted = tuple(name for name in _PASSED_ON if name not in left_out)
    asked, answered = (_members(body or b"", wanted) for body in (request, answer))
    fields = {name: _shown(_either(name, answered, asked)) for name in wanted}
    for name in _URLS:
        url = _shown(answered.get(name))
        fields[name] = mask_callback_urls(url) if isinstance(url, str) else None
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


def recipients(request: bytes | None) -> list[str]:
    """The telephone numbers that *request* is to, each once, in their order."""
    asked = (find_object(request or b"") or {}).get("to")
    listed = asked if isinstance(asked, list) else []
    return list(dict.fromkeys(filter(None, map(reading.as_number, listed))))


def _either(name: str, answered: Mapping[str, Any], asked: Mapping[str, Any]) -> object:
    value = answered.get(name)
    return asked.get(name) if value is None else value


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
