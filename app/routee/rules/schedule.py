"""The only file that knows when a campaign may be sent, and how long it may wait."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from app.routee.rules.findings import Caution, Finding, member
from app.routee.rules.refusals import fault

MIN_TTL_SECONDS: Final = 30
MAX_TTL_SECONDS: Final = 86_400
#: Under it Viber's web clients do not take part.
_WEB_CLIENTS_TTL_SECONDS: Final = 300

#: Python reads more of ISO 8601 than may be expected of Routee: week dates, dates without times.
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.ASCII
)


def check_schedule(request: object, *, now: datetime) -> Iterator[Finding]:
    """Check that the campaign is scheduled for an instant after *now*."""
    written = member(request, "scheduledDate")
    if written is None:
        return
    instant = _instant(written)
    if instant is None:
        yield fault(
            "scheduledDate",
            "must be ISO 8601 with a time zone, such as 2031-05-14T09:30:00Z or …+03:00",
        )
    elif instant <= now:
        yield fault("scheduledDate", "is in the past: choose a later time, or leave it out")


def _instant(written: object) -> datetime | None:
    if not isinstance(written, str) or not _INSTANT.fullmatch(written):
        return None
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def check_short_ttl(request: object) -> Iterator[Finding]:
    """Warn of a ttl that is allowed, but leaves recipients out."""
    ttl = member(request, "ttl")
    if not isinstance(ttl, int) or isinstance(ttl, bool):
        return
    if MIN_TTL_SECONDS <= ttl < _WEB_CLIENTS_TTL_SECONDS:
        yield Caution(
            "ttl-short",
            "ttl",
            f"is under {_WEB_CLIENTS_TTL_SECONDS} seconds, too short for Viber's web clients",
        )
