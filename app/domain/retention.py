"""For how long what is kept, and what is too old to be taken in."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from app.domain.event import UNKNOWN_TIME

#: By so much may the clock of whoever told a time be ahead of ours.
CLOCKS_DIFFER: Final = timedelta(hours=1)


class Retention(NamedTuple):
    """For how long each kind of thing is kept; None: for ever."""

    raw: timedelta | None = None
    events: timedelta | None = None
    messages: timedelta | None = None
    inbound: timedelta | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing is ever removed."""
        return not any(self)


def retention_of_days(
    *, raw: int | None, events: int | None, messages: int | None, inbound: int | None
) -> Retention:
    """The same in days."""
    return Retention(
        *(
            None if days is None else timedelta(days=days)
            for days in (raw, events, messages, inbound)
        )
    )


class Horizons(NamedTuple):
    """What was received before may have been removed; None: nothing was."""

    events: datetime | None = None
    inbound: datetime | None = None

    def or_later(self, retention: Retention, *, now: datetime) -> "Horizons":
        """These, or those that *retention* has *now*, whichever are later."""
        return Horizons(
            _later(self.events, retention.events, now), _later(self.inbound, retention.inbound, now)
        )


def _later(horizon: datetime | None, kept: timedelta | None, now: datetime) -> datetime | None:
    if kept is None:
        return horizon
    return now - kept if horizon is None else max(horizon, now - kept)


def is_expired(happened_at: datetime | None, horizon: datetime | None) -> bool:
    """
    Whether what happened then may have been removed already.

    What was received before the horizon happened before it, so that a repetition of it is known by
    its time. What has no known time is never expired.
    """
    if horizon is None or happened_at is None or happened_at == UNKNOWN_TIME:
        return False
    return happened_at < horizon + CLOCKS_DIFFER
