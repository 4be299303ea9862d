"""The only file that knows what a campaign may be called, and what we call it if nobody does."""

import re
from base64 import b32encode
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from app.routee.rules.findings import Finding
from app.routee.rules.refusals import fault
from app.routee.rules.values import written_as

_PREFIX: Final = "rr-"
_GENERATED: Final = re.compile(rf"{_PREFIX}[a-z2-7]{{26}}")

_check_spelling: Final = written_as(
    re.compile(r"[A-Za-z0-9 -]{2,30}"),
    "must be a string of 2 to 30 latin letters, digits, spaces and hyphens",
)


def generated_name(campaign_id: UUID) -> str:
    """
    The name of a campaign for which the caller gave none: 29 characters, the whole id in base32.

    It is a function of the id, so that a retry sends the same name, and no two ids share one.
    """
    return _PREFIX + b32encode(campaign_id.bytes).decode("ascii").rstrip("=").lower()


def is_generated(name: str) -> bool:
    """Whether *name* is of the form that only we give."""
    return _GENERATED.fullmatch(name) is not None


def check_name(value: object, path: str) -> Iterator[Finding]:
    """
    Check for a name that Routee takes and that is not one of ours.

    A name that is in use proves that an earlier attempt was accepted only if nobody else could
    have chosen it. Therefore callers may not.
    """
    yield from _check_spelling(value, path)
    if isinstance(value, str) and is_generated(value):
        yield fault(path, "is of the form kept for generated names: choose another, or none")
