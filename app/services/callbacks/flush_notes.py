"""Counts and logs how flushes end, whether they commit to the database or publish to the buffer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.errors import ReceiverError
from app.kit.log_limiter import LogLimiter
from app.observability.metrics import Metrics
from app.services.readiness import FlushRecord

log = structlog.get_logger()


class FlushNotes:
    """For the flushes of one process. Expected failures are logged every *log_every_seconds*."""

    def __init__(
        self, metrics: Metrics, flushes: FlushRecord | None, *, log_every_seconds: float = 0
    ) -> None:
        self._metrics = metrics
        self._flushes = flushes or FlushRecord()
        self._lines = LogLimiter(log_every_seconds)

    @contextmanager
    def noted(self, items: int) -> Iterator[None]:
        """Note how the block ends, which flushes so many *items*."""
        started = time.perf_counter()
        try:
            yield
        except BaseException as error:
            self._note_failure(error, items=items)
            raise
        self._flushes.note_success()
        self._metrics.note_flushed(items, time.perf_counter() - started)

    def _note_failure(self, error: BaseException, *, items: int) -> None:
        self._flushes.note_failure()
        if isinstance(error, Exception) and not isinstance(error, ReceiverError):
            self._metrics.flush_failures.labels("unexpected").inc()
            log.error("flush failed unexpectedly", items=items, exc_info=error)
            return
        is_late = not isinstance(error, ReceiverError)  # cancelled at its deadline
        self._metrics.flush_failures.labels("TooLate" if is_late else type(error).__name__).inc()
        if not self._lines.due():
            return
        if is_late:
            log.warning("flush abandoned", items=items)
        else:
            log.warning("flush failed", items=items, error=str(error))
