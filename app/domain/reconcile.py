"""When campaigns are compared with Routee's tracking, and which of its events are known already."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.domain.event import UNKNOWN_TIME, DeliveryEvent, EventIdentity

#: A campaign that lacks final statuses is compared once nothing has happened for so long.
QUIET: Final = timedelta(hours=1)
#: Campaigns that were to be sent before are compared on request only: 14 days of ttl and 40 hours
#: of repetitions are over, and retention, 30 days at least, has removed nothing of younger ones.
LOOK_BACK: Final = timedelta(days=30)
#: Where the search for them begins, by the time at which they were asked for.
SEARCH_BACK: Final = timedelta(days=60)
#: Until the next comparison of a campaign that lacks final statuses: doubled while nothing new is
#: found.
_FIRST_PAUSE: Final = timedelta(hours=1)
DAILY: Final = timedelta(days=1)
#: After a 404, and after the end of a campaign: it is not likely that anything changes.
RARELY: Final = timedelta(days=7)
_MAX_DOUBLINGS: Final = 8


class Outcome(StrEnum):
    """What became of a comparison with Routee's tracking. None of them is a message's status."""

    #: All that Routee lists is stored.
    COMPARED = "compared"
    #: Some of what Routee lists was read: the list repeats itself, or is too long.
    INCOMPLETE = "incomplete"
    #: Routee knows no such campaign.
    NOT_FOUND = "not-found"
    #: Neither the campaign's trackingId nor any message of it is known: Routee cannot be asked.
    NO_ID = "no-id"
    #: Routee gave no usable answer.
    FAILED = "failed"


def pause_after(outcome: Outcome, *, fruitless: int, is_finished: bool) -> timedelta:
    """Until the next comparison; *fruitless* ones in a row have found nothing new."""
    if outcome is Outcome.NOT_FOUND or (is_finished and outcome is not Outcome.FAILED):
        return RARELY
    return min(_FIRST_PAUSE * (1 << min(fruitless, _MAX_DOUBLINGS)), DAILY)


def aligned(event: DeliveryEvent, stored: Collection[EventIdentity]) -> DeliveryEvent:
    """
    *event* of a tracking read as the same event as one of *stored*, those of its message and word.

    Callbacks and tracking may spell one time differently. A time that is missing is that of the
    stored event, and so is one that has more or fewer digits of a fraction.
    """
    if not stored or event.identity in stored:
        return event
    latest_first = sorted(stored, key=lambda identity: identity[2], reverse=True)
    if event.occurred_at == UNKNOWN_TIME:
        return _as(event, latest_first[0])
    twin = next((one for one in latest_first if _is_same_time(event.occurred_at, one[2])), None)
    return event if twin is None else _as(event, twin)


def _is_same_time(one: datetime, other: datetime) -> bool:
    """Whether one of them is the other, cut to seconds or milliseconds."""
    if one.replace(microsecond=0) != other.replace(microsecond=0):
        return False
    fractions = one.microsecond, other.microsecond
    return 0 in fractions or (
        one.microsecond // 1000 == other.microsecond // 1000
        and any(fraction % 1000 == 0 for fraction in fractions)
    )


def _as(event: DeliveryEvent, identity: EventIdentity) -> DeliveryEvent:
    return event._replace(occurred_at=identity[2], digest=identity[3])
