"""The state machine of a launch: the state of a campaign after each attempt."""

from datetime import timedelta
from enum import Enum, auto
from typing import Final, NamedTuple

from app.domain.campaign import Submission


class AttemptOutcome(Enum):
    """How an attempt to launch a campaign ended."""

    #: Routee answered 2xx.
    ACCEPTED = auto()
    #: The account has a campaign of that name.
    NAME_IN_USE = auto()
    #: Any other definite refusal.
    REFUSED = auto()
    #: There was no usable answer: Routee may have accepted it.
    UNANSWERED = auto()
    #: The request never reached Routee.
    NOT_SENT = auto()


class Settlement(NamedTuple):
    """The state of a campaign after an attempt."""

    submission: Submission
    #: Whether another attempt under the same name can still decide it.
    retry: bool


_LAUNCHED: Final = Settlement(Submission.LAUNCHED, retry=False)
_REJECTED: Final = Settlement(Submission.REJECTED, retry=False)
_OPEN: Final = Settlement(Submission.UNCONFIRMED, retry=True)
_MANUAL: Final = Settlement(Submission.UNCONFIRMED, retry=False)

_AFTER_FIRST_ATTEMPT: Final = {
    AttemptOutcome.ACCEPTED: _LAUNCHED,
    AttemptOutcome.NAME_IN_USE: _REJECTED,
    AttemptOutcome.REFUSED: _REJECTED,
    AttemptOutcome.UNANSWERED: _OPEN,
    AttemptOutcome.NOT_SENT: _REJECTED,
}
#: The refusal of a retry proves nothing about earlier attempts: the balance may be too low
#: *because* one of them was accepted.
_AFTER_RETRY: Final = {
    AttemptOutcome.ACCEPTED: _LAUNCHED,
    AttemptOutcome.NAME_IN_USE: _MANUAL,
    AttemptOutcome.REFUSED: _OPEN,
    AttemptOutcome.UNANSWERED: _OPEN,
    AttemptOutcome.NOT_SENT: _OPEN,
}

#: The waits before the first retry, the second, and so on. The first retry must not overtake the
#: unanswered attempt. After the last one the campaign is an hour late, and a person decides.
PAUSES: Final = (
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=15),
    timedelta(minutes=30),
)


def settlement_of(outcome: AttemptOutcome, *, repeated: bool, name_generated: bool) -> Settlement:
    """
    The state of a campaign after *outcome*.

    *repeated* says that an earlier attempt may have been accepted. Only this service uses generated
    names, so if one is in use, an earlier attempt was accepted.
    """
    if outcome is AttemptOutcome.NAME_IN_USE and name_generated:
        return _LAUNCHED
    return (_AFTER_RETRY if repeated else _AFTER_FIRST_ATTEMPT)[outcome]


def pause_before(retry: int) -> timedelta | None:
    """The wait before a retry, counted from 1; None if there is no such retry."""
    return PAUSES[retry - 1] if retry <= len(PAUSES) else None
