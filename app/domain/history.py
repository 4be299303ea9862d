"""What each event did to its message, as a function of the stored events alone."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from app.domain.status import rank_of


class Effect(StrEnum):
    """Why an event did, or did not, become the current status when it was stored."""

    #: It became the current status.
    ADVANCED = "advanced"
    #: It was overtaken, but is the first of its status: it filled in that status's time.
    FILLED = "filled"
    #: It was overtaken, and its status was known already.
    LATE = "late"
    #: It happened after the current status, but a status does not fall back in rank.
    LOWER_RANK = "lower-rank"


class Told(Protocol):
    """What must be known of an event to place it."""

    @property
    def status_key(self) -> str:
        """The provider's word, upper-cased."""

    @property
    def occurred_at(self) -> datetime:
        """When the status was reached."""


class Step(NamedTuple):
    """What one event did."""

    changed: bool
    effect: Effect


_STEPS: Final = {
    effect: Step(changed=effect is Effect.ADVANCED, effect=effect) for effect in Effect
}


def steps(events: Iterable[Told]) -> Iterator[Step]:
    """
    What each of *events*, all of one message, did.

    They come in the order of the feed, and the answers in the same order.
    """
    greatest: tuple[int, datetime, str] | None = None
    known: set[str] = set()
    for event in events:
        order = (rank_of(event.status_key), event.occurred_at, event.status_key)
        if greatest is None or order > greatest:
            greatest = order
            effect = Effect.ADVANCED
        else:
            effect = _held_back(event, greatest[1], known)
        known.add(event.status_key)
        yield _STEPS[effect]


def _held_back(event: Told, current_at: datetime, known: set[str]) -> Effect:
    if event.occurred_at > current_at:
        return Effect.LOWER_RANK
    return Effect.LATE if event.status_key in known else Effect.FILLED
