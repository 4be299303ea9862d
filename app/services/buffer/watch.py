"""Watching the buffer: whether it is durable, and how much of it is not stored yet."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from app.buffer.connection import Buffer
from app.buffer.stream import Backlog
from app.db.bi.buffered import write_buffered
from app.db.database import Database
from app.errors import CannotStore, DatabaseUnavailable, ReceiverError
from app.observability.metrics import Metrics

log = structlog.get_logger()

CHECKED_EVERY: Final = timedelta(seconds=2)


class BufferWatch:
    """Checks *buffer* again and again, and reports its backlog as metrics and to analysts."""

    def __init__(self, buffer: Buffer, database: Database, metrics: Metrics) -> None:
        self._buffer = buffer
        self._database = database
        self._metrics = metrics
        #: What the last check that succeeded found.
        self.backlog = Backlog(0, 0, None)
        self._failure: ReceiverError | None = None

    def require(self) -> None:
        """
        Return if the last check found the buffer durable and reachable.

        Raises:
            CannotStore: it did not; the detail says why.
        """
        if self._failure is not None:
            raise CannotStore(str(self._failure))

    def lag_seconds(self) -> float:
        """The age of the oldest batch that was not stored at the last check."""
        return self.backlog.age_seconds(datetime.now(UTC))

    async def check(self) -> None:
        """
        Check the buffer, which becomes usable by it, and measure its backlog.

        Raises:
            BufferUnavailable: it does not answer.
            BufferUnsafe: it is not durable, or that cannot be verified.
        """
        try:
            self.backlog = await self._buffer.check()
        except ReceiverError as error:
            self._failure = error
            raise
        self._failure = None
        self._metrics.buffer_messages.set(self.backlog.messages)
        self._metrics.buffer_bytes.set(self.backlog.octets)
        self._metrics.buffer_lag_seconds.set(self.lag_seconds())

    async def begin(self) -> None:
        """The first check, whose failure is only logged: the next one may succeed."""
        try:
            await self.check()
        except ReceiverError as error:
            log.error(  # noqa: TRY400 (its message says all)
                "the buffer cannot be used yet", error=str(error)
            )

    async def poll(self) -> None:
        """Check the buffer, and write for analysts what waits in it, if the database answers."""
        await self.check()
        try:
            await write_buffered(
                self._database, batches=self.backlog.messages, oldest_at=self.backlog.oldest_at
            )
        except DatabaseUnavailable as error:
            log.info("the backlog of the buffer is not shown to analysts", error=str(error))
