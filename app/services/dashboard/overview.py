"""What the first page shows: whether callbacks come and are taken, and what waits for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from importlib.metadata import version
from typing import Final, NamedTuple

from app.db.dashboard.campaigns import ListedCampaign, newest_unconfirmed, newest_unfinished
from app.db.dashboard.received import received_of_late
from app.db.dashboard.standing import (
    AtMost,
    Standing,
    count_unconfirmed,
    count_unstored,
    standing_since,
)
from app.db.database import Database
from app.db.measuring import newest_callback
from app.domain.received import (
    DURABLE_ANSWERS,
    NOT_STORED,
    READY,
    Counted,
    Measure,
    of_measure,
    quantile,
    share_in_time,
)
from app.services.dashboard.campaigns import CountedCampaign, counted

#: Of the campaigns of so long, where their messages stand is shown.
STANDING_PERIOD: Final = timedelta(days=7)
MAX_IN_PROGRESS: Final = 10
MAX_UNCONFIRMED: Final = 10
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class Received(NamedTuple):
    """What became of the callbacks of some time."""

    #: By what they were answered: committed, in the buffer, or in the quarantine.
    stored: int
    buffered: int
    quarantined: int
    #: They were answered 503, and Routee repeats them.
    not_stored: int
    #: They were answered 4xx: too large, cut off, or from another source.
    refused: int
    #: Events, replies and reports that repeated what was stored already.
    duplicates: int
    #: Answered before Routee hangs up; None without any.
    share_in_time: float | None
    #: From an event to its commit, at most so many seconds; infinite beyond two days; None without.
    lag_p50: float | None
    lag_p95: float | None

    @property
    def total(self) -> int:
        """All callbacks."""
        return self.stored + self.buffered + self.quarantined + self.not_stored + self.refused


@dataclass(frozen=True, slots=True)
class Overview:
    """How the service does."""

    last_hour: Received
    last_day: Received
    #: None if there was none yet.
    newest_callback_at: datetime | None
    #: Of the campaigns of `STANDING_PERIOD`, and of those that are not finished.
    standing: Standing
    #: The newest first.
    in_progress: Sequence[CountedCampaign]
    unconfirmed: Sequence[ListedCampaign]
    unconfirmed_count: AtMost
    #: Bodies in the quarantine that no replay has stored.
    quarantined: AtMost
    schema_version: str
    program_version: str


async def overview_of(database: Database, now: datetime) -> Overview:
    """
    How the service does at *now*.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    return Overview(
        last_hour=received_of(await received_of_late(database, _HOUR)),
        last_day=received_of(await received_of_late(database, _DAY)),
        newest_callback_at=await newest_callback(database),
        standing=await standing_since(database, now - STANDING_PERIOD),
        in_progress=await counted(database, await newest_unfinished(database, MAX_IN_PROGRESS)),
        unconfirmed=await newest_unconfirmed(database, MAX_UNCONFIRMED),
        unconfirmed_count=await count_unconfirmed(database),
        quarantined=await count_unstored(database),
        schema_version=await database.require_schema(accepts_newer=True),
        program_version=version("routee-receiver"),
    )


def received_of(counted: Counted) -> Received:
    """What *counted* says of the callbacks."""
    answers = of_measure(counted, Measure.ANSWER)
    other = DURABLE_ANSWERS | {NOT_STORED, READY}
    lag = Measure.PROVIDER_LAG_SECONDS
    return Received(
        stored=answers.get("stored", 0),
        buffered=answers.get("buffered", 0),
        quarantined=answers.get("quarantined", 0),
        not_stored=answers.get(NOT_STORED, 0),
        refused=_sum_without(answers, other),
        duplicates=of_measure(counted, Measure.RECORD).get("duplicate", 0),
        share_in_time=share_in_time(counted),
        lag_p50=quantile(counted, lag, Fraction(50, 100)),
        lag_p95=quantile(counted, lag, Fraction(95, 100)),
    )


def _sum_without(answers: Mapping[str, int], known: frozenset[str]) -> int:
    return sum(times for answer, times in answers.items() if answer not in known)
