"""Whether this process can store and answer."""

import time
from collections.abc import Callable
from typing import Final

from app.db.database import Database
from app.errors import CannotStore, DatabaseUnavailable, ReceiverError, SchemaOutdated
from app.kit.shutdown import Ending
from app.kit.single_flight import SingleFlight
from app.services.buffer.watch import BufferWatch

#: How long an answer is kept: probes of many load balancers cost one query a second.
KEPT_SECONDS: Final = 1.0
#: How many flushes in a row have to fail. One alone may have met a failover that is over.
_FAILED_FLUSHES: Final = 2
#: A process that gets no callbacks, because it is not ready, must not stay so for ever.
_REMEMBERED_SECONDS: Final = 10.0


class FlushRecord:
    """How the last flushes of this process ended."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed = 0
        self._failed_at = 0.0

    def note_success(self) -> None:
        """A flush has stored what it was given."""
        self._failed = 0

    def note_failure(self) -> None:
        """A flush has failed, or was abandoned."""
        self._failed += 1
        self._failed_at = self._clock()

    @property
    def is_failing(self) -> bool:
        """Whether the last flushes failed a moment ago."""
        is_recent = self._clock() - self._failed_at < _REMEMBERED_SECONDS
        return self._failed >= _FAILED_FLUSHES and is_recent


class Readiness:
    """Finds out, at most once a second, whether callbacks can be made durable."""

    def __init__(
        self,
        database: Database,
        ending: Ending | None = None,
        *,
        buffer: BufferWatch | None = None,
    ) -> None:
        self._database = database
        #: What callbacks are acknowledged by instead of the database; None in direct mode.
        self.buffer = buffer
        self.flushes = FlushRecord()
        self.ending = ending or Ending()
        self._checks: SingleFlight[None, ReceiverError | None] = SingleFlight(
            self._check, keep_seconds=KEPT_SECONDS, is_kept=lambda _: True
        )

    async def require(self) -> None:
        """
        Return if callbacks can be made durable: with a buffer, whether or not a database answers.

        Raises:
            DatabaseUnavailable: the database does not answer.
            SchemaOutdated: it has another schema version.
            CannotStore: it is read-only, the last flushes failed, the buffer is unusable, or this
                process was asked to end.
        """
        if self.ending.has_begun:
            raise CannotStore("This process was asked to end.")
        if self.buffer is not None:
            self.buffer.require()
        elif (obstacle := await self._checks.recent(None)) is not None:
            raise obstacle
        if self.flushes.is_failing:
            raise CannotStore("The last callbacks could not be stored. The log says why.")

    async def _check(self, _: None) -> ReceiverError | None:
        try:
            await self._database.require_schema(accepts_newer=True)
            if not await self._database.is_writable():
                return CannotStore("The database is read-only.")
        except (DatabaseUnavailable, SchemaOutdated) as error:
            return error
        return None
