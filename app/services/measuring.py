"""The duties that measure what only the database knows, so that no scrape asks it."""

from app.db.database import Database
from app.db.measuring import measure, newest_callback, replica_lag_seconds
from app.domain.postgres_version import is_safe
from app.domain.quarantine import Reason
from app.observability.metrics import Metrics


class Measuring:
    """Measures *database* and the lag of *replica*, which is None if there is none."""

    def __init__(self, database: Database, replica: Database | None, metrics: Metrics) -> None:
        self._database = database
        self._replica = replica
        self._metrics = metrics
        self._knows_newest = False

    async def sample(self) -> None:
        """Let the processes around see what is measured in this one."""
        self._metrics.sample()

    async def perform(self) -> None:
        """
        Measure once.

        Raises:
            DatabaseUnavailable: a database does not answer; its metrics stay as they were.
        """
        metrics = self._metrics
        if not self._knows_newest:  # afterwards this process notices callbacks itself
            newest = await newest_callback(self._database)
            metrics.note_newest(newest.timestamp() if newest else 0.0)
            self._knows_newest = True
        found = await measure(self._database)
        metrics.launches_unconfirmed.set(found.launches_unconfirmed)
        metrics.launches_unconfirmed_age_seconds.set(found.oldest_unconfirmed_seconds)
        for reason in Reason:
            metrics.quarantine_bodies.labels(reason).set(found.quarantine.get(reason, 0))
        metrics.roll_up_pending_events.set(found.roll_up_pending_events)
        metrics.database_bytes.set(found.octets)
        metrics.postgresql_outdated.set(not is_safe(await self._database.server_version()))
        lag = 0.0
        if self._replica is not None:
            lag = await replica_lag_seconds(self._database, self._replica)
        metrics.replica_lag_seconds.set(lag)
