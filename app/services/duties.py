"""Work that every process repeats."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

import structlog

from app.errors import ReceiverError
from app.kit.log_limiter import LogLimiter
from app.kit.tasks import is_cancelled

log = structlog.get_logger()


class Duty(NamedTuple):
    """Periodic work. It makes sure itself that several processes do not do it twice."""

    name: str
    every: timedelta
    do: Callable[[], Awaitable[object]]
    #: The period while this process stores nothing; None: the same.
    idle_every: timedelta | None = None


class _Failures:
    """Logs the first failure of a duty, then one in a minute with their number, and the end."""

    def __init__(self, duty: str) -> None:
        self._duty = duty
        self._times = 0
        self._lines = LogLimiter()

    def note(self, reason: str) -> None:
        self._times += 1
        if times := self._lines.due():
            log.warning("duty postponed", duty=self._duty, error=reason, times=times)

    def note_unforeseen(self, error: Exception) -> None:
        self._times += 1
        if times := self._lines.due():
            log.error("duty failed", duty=self._duty, times=times, exc_info=error)

    def end(self) -> None:
        if self._times:
            log.info("duty succeeds again", duty=self._duty, failures=self._times)
            self._times, self._lines = 0, LogLimiter()


@asynccontextmanager
async def performed(
    *duties: Duty,
    stored: Callable[[], int] = lambda: 0,
    noted: Callable[[str, bool], object] = lambda _name, _is_done: None,
) -> AsyncIterator[None]:
    """
    Perform *duties* while the block runs, whatever a single performance comes to.

    *stored* gives how many records this process has stored so far. *noted* gets the name of a duty
    and whether it was done, each time.
    """
    tasks = [asyncio.create_task(_perform(duty, stored, noted), name=duty.name) for duty in duties]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _perform(
    duty: Duty, stored: Callable[[], int], noted: Callable[[str, bool], object]
) -> None:
    seen, failures = stored(), _Failures(duty.name)
    while True:
        await _until_due(duty, stored, seen)
        seen = stored()  # before the duty, which may not see what is stored meanwhile
        noted(duty.name, await _is_done(duty, failures))


async def _is_done(duty: Duty, failures: _Failures) -> bool:
    """Do *duty* once; False if it failed, as it is repeated all the same."""
    try:
        await duty.do()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        failures.note("cancelled from within")
    except ReceiverError as error:
        failures.note(str(error))
    except Exception as error:  # noqa: BLE001 (it is logged, and the duty repeated)
        failures.note_unforeseen(error)
    else:
        failures.end()
        return True
    return False


async def _until_due(duty: Duty, stored: Callable[[], int], seen: int) -> None:
    """Wait for the period, then until more than *seen* is stored or `idle_every` is over."""
    every = duty.every.total_seconds()
    longest = (duty.idle_every or duty.every).total_seconds()
    waited = every
    await asyncio.sleep(every)
    while waited < longest and stored() == seen:
        await asyncio.sleep(every)
        waited += every
