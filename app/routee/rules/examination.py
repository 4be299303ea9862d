"""The whole examination of a campaign request: the members of its top level, and all rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from app.domain.campaign import Billing
from app.errors import Fault
from app.routee.rules.body import BODY, check_video_url
from app.routee.rules.characters import check_characters
from app.routee.rules.findings import Caution, Finding, Findings, member
from app.routee.rules.labels import check_labels
from app.routee.rules.layouts import billing_of, check_layout
from app.routee.rules.names import check_name
from app.routee.rules.recipients import check_anybody, check_ids, check_numbers
from app.routee.rules.refusals import OUT_OF_BOUNDS
from app.routee.rules.schedule import (
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
    check_schedule,
    check_short_ttl,
)
from app.routee.rules.shapes import Member, Shape, check_shape, check_strangers
from app.routee.rules.values import flag, identifier, text, whole

MAX_LABEL_CHARACTERS: Final = 350

#: What every id is bounded to where it is stored.
_MAX_ID_BYTES: Final = 512
#: Members that are replaced by our own when the request is sent.
_OUR_URLS: Final = ("callbackUrl", "inboundUrl")


def _unchecked(_value: object, _path: str) -> Iterator[Finding]:
    yield from ()


REQUEST: Final[Shape] = {
    "senderInfoTrackingId": Member(identifier(most_bytes=_MAX_ID_BYTES), required=True),
    "to": Member(check_numbers),
    "contacts": Member(check_ids),
    "groups": Member(check_ids),
    "campaignName": Member(check_name),
    "isSessionMessage": Member(flag),
    "scheduledDate": Member(_unchecked),  # by `check_schedule`, which knows the time
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
    """What became known of a request without asking anybody."""

    #: With any of them the request must not be sent.
    faults: tuple[Fault, ...]
    warnings: tuple[Caution, ...]
    #: How Routee will charge for it; of no meaning while there are faults.
    billing: Billing


def examine(request: object, *, now: datetime) -> Examination:
    """
    Everything that is wrong with, and notable about, *request*, a campaign request as parsed JSON.

    *now* is aware. Never raises, whatever JSON it gets. A thousand recipients take some 40 ms of
    pure computation, so an event loop should leave it to a thread.
    """
    rules = (rule(request) for rule in _RULES)
    found = Findings.of(chain(*rules, check_schedule(request, now=now)))
    return Examination(found.faults, found.warnings, billing_of(request))


def _check_members(request: object) -> Iterator[Finding]:
    return check_shape(request, "", REQUEST)


def _check_strangers(request: object) -> Iterator[Finding]:
    return check_strangers(request, REQUEST)


def _warn_of_urls(request: object) -> Iterator[Finding]:
    for field in _OUR_URLS:
        if member(request, field) is not None:
            yield Caution(
                "url-not-sent",
                field,
                "is not sent to Routee: this service names itself there, so that it learns "
                "what becomes of the messages",
            )


_RULES: Final[tuple[Callable[[object], Iterator[Finding]], ...]] = (
    _check_members,
    _check_strangers,
    check_anybody,
    check_video_url,
    check_layout,
    check_characters,
    check_short_ttl,
    check_labels,
    _warn_of_urls,
)
