"""The state machine of a launch: what Routee's reply to an attempt makes of the campaign."""

from datetime import timedelta
from enum import Enum, auto
from typing import Final, NamedTuple

from app.domain.campaign import Submission


class Reply(Enum):
    """How an attempt to launch a campaign ended."""

    #: A 2xx.
    ACCEPTED = auto()
    #: The account has a campaign of that name.
    NAME_IN_USE = auto()
    #: Any other definite refusal.
    REFUSED = auto()
    #: No usable answer: it may have been accepted.
    UNANSWERED = auto()
    #: It never reached Routee.
    NOT_SENT = auto()


class Settlement(NamedTuple):
    """What becomes of a campaign after an attempt."""

    submission: Submission
    #: Whether another attempt under the same name may still tell more.
    ask_again: bool


_LAUNCHED: Final = Settlement(Submission.LAUNCHED, ask_again=False)
_REJECTED: Final = Settlement(Submission.REJECTED, ask_again=False)
_OPEN: Final = Settlement(Submission.UNCONFIRMED, ask_again=True)
_FOR_A_PERSON: Final = Settlement(Submission.UNCONFIRMED, ask_again=False)

_AFTER_THE_FIRST: Final = {
    Reply.ACCEPTED: _LAUNCHED,
    Reply.NAME_IN_USE: _REJECTED,
    Reply.REFUSED: _REJECTED,
    Reply.UNANSWERED: _OPEN,
    Reply.NOT_SENT: _REJECTED,
}
#: A refusal of a repetition proves nothing about the attempt before: the balance may be gone
#: *because* that was accepted.
_AFTER_ANOTHER: Final = {
    Reply.ACCEPTED: _LAUNCHED,
    Reply.NAME_IN_USE: _FOR_A_PERSON,
    Reply.REFUSED: _OPEN,
    Reply.UNANSWERED: _OPEN,
    Reply.NOT_SENT: _OPEN,
}

#: How long to wait before the first repetition, the second, and so on. The first must not overtake
#: the attempt that went unanswered; after the last, an hour late, nobody wants it any more.
PAUSES: Final = (
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=15),
    timedelta(minutes=30),
)


def settlement_of(reply: Reply, *, repeated: bool, name_generated: bool) -> Settlement:
    """
    What *reply* makes of a campaign.

    *repeated* says that an earlier attempt may have been accepted. Only our own attempts can have
    used a generated name, so that such a name is in use proves that one of them was accepted.
    """
    if reply is Reply.NAME_IN_USE and name_generated:
        return _LAUNCHED
    return (_AFTER_ANOTHER if repeated else _AFTER_THE_FIRST)[reply]


def pause_before(repetition: int) -> timedelta | None:
    """How long to wait before *repetition*, counted from 1; None when there is to be none."""
    return PAUSES[repetition - 1] if repetition <= len(PAUSES) else None
