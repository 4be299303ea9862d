"""Retention periods, and the age from which callbacks are not stored any more."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from app.domain.event import UNKNOWN_TIME

#: The provider's clock may be ahead of ours by this much.
MAX_CLOCK_SKEW: Final = timedelta(hours=1)


class Retention(NamedTuple):
    """For how long each kind of data is kept; None means for ever."""

    raw: timedelta | None = None
    events: timedelta | None = None
    messages: timedelta | None = None
    inbound: timedelta | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether all data is kept for ever."""
        return not any(self)


def retention_of_days(
    *, raw: int | None, events: int | None, messages: int | None, inbound: int | None
) -> Retention:
    """The retention with these periods in days."""
    return Retention(
        *(
            None if days is None else timedelta(days=days)
            for days in (raw, events, messages, inbound)
        )
    )


class Horizons(NamedTuple):
    """Data received before these instants may have been removed; None if none was."""

    events: datetime | None = None
    inbound: datetime | None = None

    def or_later(self, retention: Retention, *, now: datetime) -> "Horizons":
        """The later of these and of the horizons that follow from *retention* at *now*."""
        return Horizons(
            _later(self.events, retention.events, now), _later(self.inbound, retention.inbound, now)
        )


def _later(horizon: datetime | None, kept: timedelta | None, now: datetime) -> datetime | None:
    if kept is None:
        return horizon
    return now - kept if horizon is None else max(horizon, now - kept)


def is_expired(happened_at: datetime | None, horizon: datetime | None) -> bool:
    """
    Whether data about something that happened then may have been removed already.

    An event that was received before *horizon* also happened before it, so a later copy of it can
    be recognised by its time. An event without a known time never expires.
    """
    if horizon is None or happened_at is None or happened_at == UNKNOWN_TIME:
        return False
    return happened_at < horizon + MAX_CLOCK_SKEW


def is_received_before(received_at: datetime | None, horizon: datetime | None) -> bool:
    """Whether data that is stored now as received at *received_at*, None for now, is too old."""
    return received_at is not None and horizon is not None and received_at < horizon
