"""Counts and logs how flushes end, whether they commit to the database or publish to the buffer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import structlog

from app.errors import ReceiverError
from app.kit.log_limiter import LogLimiter
from app.observability.metrics import Metrics
from app.services.readiness import FlushRecord

log = structlog.get_logger()


#: While something is away each flush fails, many in a second.
_LOGGED_SECONDS: Final = 1.0


class _Outage(NamedTuple):
    since: float
    #: How many callbacks were refused before it.
    refused: int


class FlushNotes:
    """For the flushes of one process to *what*. Failures are logged once a second at most."""

    def __init__(
        self,
        metrics: Metrics,
        flushes: FlushRecord | None,
        *,
        what: str = "the database",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._flushes = flushes or FlushRecord()
        self._what = what
        self._lines = LogLimiter(_LOGGED_SECONDS, clock=clock)
        self._outage: _Outage | None = None

    @contextmanager
    def noted(self, items: int) -> Iterator[None]:
        """Note how the block ends, which flushes so many *items*."""
        started = self._clock()
        try:
            yield
        except BaseException as error:
            self._note_failure(error, items=items, started=started)
            raise
        self._flushes.note_success()
        self._metrics.note_flushed(items, self._clock() - started)
        if self._outage is not None:
            self._note_recovery(self._outage)

    def _note_failure(self, error: BaseException, *, items: int, started: float) -> None:
        self._flushes.note_failure()
        if self._outage is None:
            self._outage = _Outage(started, self._metrics.refused())
        is_unexpected = isinstance(error, Exception) and not isinstance(error, ReceiverError)
        is_late = not isinstance(error, Exception)  # cancelled at its deadline
        kind = "unexpected" if is_unexpected else "TooLate" if is_late else type(error).__name__
        self._metrics.flush_failures.labels(kind).inc()
        if not (times := self._lines.due()):
            return
        if is_unexpected:
            log.error("flush failed unexpectedly", items=items, times=times, exc_info=error)
        elif is_late:
            log.warning("flush abandoned", items=items, times=times)
        else:
            log.warning("flush failed", items=items, times=times, error=str(error))

    def _note_recovery(self, outage: _Outage) -> None:
        self._outage = None
        seconds = self._clock() - outage.since
        refused = self._metrics.refused() - outage.refused
        said = (
            f"{self._what} answers again after {seconds:.0f} s; {refused:,} callbacks were refused"
        )
        log.warning(said)
