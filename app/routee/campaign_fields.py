"""Which fields Routee has for a campaign, as far as we pass them on."""

from collections.abc import Mapping
from typing import Any, Final

from app.domain.masking import mask_callback_urls
from app.routee.wire import Unreadable, parse

#: Of Routee's answer; what it left out is taken from the request.
_PASSED_ON: Final = (
    "type",
    "state",
    "createdAt",
    "senderInfoTrackingId",
    "senderInfoName",
    "to",
    "contacts",
    "groups",
    "campaignName",
    "scheduledDate",
    "body",
    "ttl",
    "totalMessages",
    "viberAnalysis",
    "label",
    "isSessionMessage",
    "respectQuietHours",
)
_URLS: Final = ("callbackUrl", "inboundUrl")


def passed_on(*, request: bytes | None, answer: bytes | None) -> dict[str, Any]:
    """Routee's fields of a campaign. The tokens in its URLs are masked; unknown ones are None."""
    asked, answered = _object(request), _object(answer)
    fields = {name: _either(name, answered, asked) for name in _PASSED_ON}
    for name in _URLS:
        url = answered.get(name)
        fields[name] = mask_callback_urls(url) if isinstance(url, str) else None
    return fields


def _either(name: str, answered: Mapping[str, Any], asked: Mapping[str, Any]) -> object:
    value = answered.get(name)
    return asked.get(name) if value is None else value


def _object(body: bytes | None) -> dict[str, Any]:
    try:
        value = parse(body) if body else {}
    except Unreadable:
        return {}
    return value if isinstance(value, dict) else {}
