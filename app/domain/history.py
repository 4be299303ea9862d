"""The effect of each event on its message, as a function of the stored events alone."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.domain.status import rank_of


class Effect(StrEnum):
    """Why an event did, or did not, become the current status when it was stored."""

    #: It became the current status.
    ADVANCED = "advanced"
    #: A greater event was stored already, but this is the first one of its status.
    FILLED = "filled"
    #: A greater event was stored already, and so was an event of this status.
    LATE = "late"
    #: It happened after the current status, but has a lower rank.
    LOWER_RANK = "lower-rank"

    @property
    def changed(self) -> bool:
        """Whether the event became the current status."""
        return self is Effect.ADVANCED


class ReportedStatus(Protocol):
    """The part of an event that decides its effect."""

    @property
    def status_key(self) -> str:
        """The provider's word, upper-cased."""

    @property
    def occurred_at(self) -> datetime:
        """When the status was reached."""


def effects_of(events: Iterable[ReportedStatus]) -> Iterator[Effect]:
    """The effect of each of *events*, all of one message and in the order of the feed."""
    greatest: tuple[int, datetime, str] | None = None
    known: set[str] = set()
    for event in events:
        order = (rank_of(event.status_key), event.occurred_at, event.status_key)
        if greatest is None or order > greatest:
            greatest = order
            yield Effect.ADVANCED
        elif event.occurred_at > greatest[1]:
            yield Effect.LOWER_RANK
        else:
            yield Effect.LATE if event.status_key in known else Effect.FILLED
        known.add(event.status_key)
