"""The examination of a campaign request: its top-level members, its schedule, and all rules."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final

from app.domain.campaign import Billing
from app.errors import Fault
from app.routee.reading import MAX_ID_BYTES, MAX_LABEL_CHARACTERS
from app.routee.rules.body import BODY, billing_of, check_layout, check_video_url
from app.routee.rules.findings import OUT_OF_BOUNDS, Caution, Finding, Findings, fault, member
from app.routee.rules.names import check_name
from app.routee.rules.placeholders import check_placeholders
from app.routee.rules.recipients import check_any_recipient, check_ids, check_numbers
from app.routee.rules.shapes import (
    Member,
    Shape,
    check_characters,
    check_shape,
    check_unknown_fields,
)
from app.routee.rules.values import flag, identifier, text, whole

MIN_TTL_SECONDS: Final = 30
MAX_TTL_SECONDS: Final = 86_400
#: Viber's web clients get no message with a shorter ttl.
_WEB_CLIENTS_TTL_SECONDS: Final = 300

#: Stricter than Python, which also reads week dates and dates without times; Routee may not.
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.ASCII
)
#: Our own URLs replace these when the request is sent.
_OUR_URLS: Final = ("callbackUrl", "inboundUrl")


REQUEST: Final[Shape] = {
    "senderInfoTrackingId": Member(identifier(most_bytes=MAX_ID_BYTES), required=True),
    "to": Member(check_numbers),
    "contacts": Member(check_ids),
    "groups": Member(check_ids),
    "campaignName": Member(check_name),
    "isSessionMessage": Member(flag),
    "scheduledDate": Member(),  # `check_schedule` checks it, with the current time
    "body": Member(shape=BODY, required=True),
    "ttl": Member(
        whole(least=MIN_TTL_SECONDS, most=MAX_TTL_SECONDS, unit="seconds", too_large=OUT_OF_BOUNDS)
    ),
    "callbackUrl": Member(text(may_be_blank=True)),
    "inboundUrl": Member(text(may_be_blank=True)),
    "label": Member(text(may_be_blank=True, most_characters=MAX_LABEL_CHARACTERS)),
}


@dataclass(frozen=True, slots=True)
class Examination:
    """The result of examining a request, without any call to another host."""

    #: A request with any fault must not be sent.
    faults: tuple[Fault, ...]
    warnings: tuple[Caution, ...]
    #: How Routee will charge for it; meaningless while there are faults.
    billing: Billing


def examine(request: object, *, now: datetime) -> Examination:
    """
    All faults and warnings of *request*, a campaign request as parsed JSON.

    *now* is aware. Never raises, whatever JSON it gets. A thousand recipients take about 40 ms of
    processor time, so call it in a thread rather than in the event loop.
    """
    rules = (rule(request) for rule in _RULES)
    found = Findings.of(chain(*rules, check_schedule(request, now=now)))
    return Examination(found.faults, found.warnings, billing_of(request))


def _warn_of_urls(request: object) -> Iterator[Finding]:
    for field in _OUR_URLS:
        if member(request, field) is not None:
            yield Caution(
                "url-not-sent",
                field,
                "is not sent to Routee: this service sends its own URL, so that it receives "
                "the callbacks",
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
    """Warn of a ttl that is allowed, but too short for some recipients."""
    ttl = member(request, "ttl")
    if not isinstance(ttl, int) or isinstance(ttl, bool):
        return
    if MIN_TTL_SECONDS <= ttl < _WEB_CLIENTS_TTL_SECONDS:
        yield Caution(
            "ttl-short",
            "ttl",
            f"is under {_WEB_CLIENTS_TTL_SECONDS} seconds, too short for Viber's web clients",
        )


_RULES: Final[tuple[Callable[[object], Iterator[Finding]], ...]] = (
    partial(check_shape, path="", shape=REQUEST),
    partial(check_unknown_fields, shape=REQUEST),
    check_any_recipient,
    check_video_url,
    check_layout,
    check_characters,
    check_short_ttl,
    check_placeholders,
    _warn_of_urls,
)
