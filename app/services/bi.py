"""The duties for analysts: ending queries that last too long, counting what was received."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

import structlog

from app.db.bi.received import add_received
from app.db.bi.watchdog import Session, Verdict, end_long_sessions
from app.db.database import Database
from app.observability.metrics import Metrics

K = TypeVar("K")

log = structlog.get_logger()


class AnalystWatch:
    """Watches analysts' sessions in *databases*: the primary, and the replica if there is one."""

    def __init__(self, *databases: Database, metrics: Metrics, longest: timedelta) -> None:
        self._databases = databases
        self._metrics = metrics
        self._longest = longest
        self._has_warned = False

    async def poll(self) -> None:
        """
        End the sessions that are over a limit.

        Raises:
            DatabaseUnavailable: a database does not answer.
        """
        for database in self._databases:
            for session in await end_long_sessions(database, self._longest):
                self._record(session)

    def _record(self, session: Session) -> None:
        if session.verdict is Verdict.OUT_OF_REACH:
            self._warn_once(session)
            return
        self._metrics.bi_sessions_ended.labels(session.verdict).inc()
        log.warning(
            "analyst's session ended",
            how=str(session.verdict),
            login=session.login,
            pid=session.pid,
            seconds=round(session.seconds),
        )

    def _warn_once(self, session: Session) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "analysts' sessions cannot be ended",
                login=session.login,
                remedy='GRANT pg_signal_backend, pg_read_all_stats TO "the role of the service"',
            )


class ReceivedCounts:
    """
    Adds what this process has received to the counts that are shown.

    Those by day are for analysts, those of late for the dashboard.
    """

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        #: By kind and outcome, and by measure.
        #: What was counted before is that of a process whose place among others this one took.
        self._written = metrics.received()
        self._written_lately = metrics.received_lately()

    async def write(self) -> None:
        """
        Write what was received since this was called before.

        Raises:
            DatabaseUnavailable: it was not written, as far as is known; the next call repeats it.
        """
        counted, lately = self._metrics.received(), self._metrics.received_lately()
        added = _risen(counted, self._written)
        added_lately = _risen(lately, self._written_lately)
        if added or added_lately:
            await add_received(self._database, added, added_lately)
        self._written, self._written_lately = counted, lately


def _risen(now: Mapping[K, int], before: Mapping[K, int]) -> dict[K, int]:
    """By how much the counts have risen, without those that have not."""
    return {
        key: count - before.get(key, 0) for key, count in now.items() if count > before.get(key, 0)
    }
