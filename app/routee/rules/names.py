"""The names of campaigns, also generated ones, and the request as it is sent under such a name."""

import re
from base64 import b32encode
from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from app.routee.rules.findings import Finding, fault
from app.routee.rules.values import written_as

_PREFIX: Final = "rr-"
_GENERATED: Final = re.compile(rf"{_PREFIX}[a-z2-7]{{26}}")

_check_spelling: Final = written_as(
    re.compile(r"[A-Za-z0-9 -]{2,30}"),
    "must be a string of 2 to 30 latin letters, digits, spaces and hyphens",
)


def generated_name(campaign_id: UUID) -> str:
    """
    The name of a campaign that the caller did not name: 29 characters, the whole id in base32.

    It is a function of the id, so a retry sends the same name, and no two campaigns share one.
    """
    return _PREFIX + b32encode(campaign_id.bytes).decode("ascii").rstrip("=").lower()


def is_generated(name: str) -> bool:
    """Whether *name* has the form of generated names."""
    return _GENERATED.fullmatch(name) is not None


def check_name(value: object, path: str) -> Iterator[Finding]:
    """
    Check for a name that Routee accepts and that does not have the form of generated names.

    Callers may not choose such a name: that one is in use proves that an earlier attempt was
    accepted only if nothing but this service can have chosen it.
    """
    yield from _check_spelling(value, path)
    if isinstance(value, str) and is_generated(value):
        yield fault(path, "has the form of generated names: choose another one, or leave it out")


def sendable(
    request: Mapping[str, object], *, name: str, callback_url: str, inbound_url: str
) -> dict[str, object]:
    """
    The body to send to Routee for *request*, which has been examined and has no faults.

    Our URLs replace the caller's. Nulls are left out: the examination took them for absent, and
    Routee must not read them in another way.
    """
    return {
        **_without_nulls(request),
        "campaignName": name,
        "callbackUrl": callback_url,
        "inboundUrl": inbound_url,
    }


def _without_nulls(document: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in document.items()
        if value is not None
    }
