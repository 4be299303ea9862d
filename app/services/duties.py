"""Work that every process repeats."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

import structlog

from app.errors import ReceiverError

log = structlog.get_logger()


class Duty(NamedTuple):
    """Periodic work. It makes sure itself that several processes do not do it twice."""

    name: str
    every: timedelta
    do: Callable[[], Awaitable[object]]
    #: The period while this process stores nothing; None: the same.
    idle_every: timedelta | None = None


@asynccontextmanager
async def performed(*duties: Duty, stored: Callable[[], int] = lambda: 0) -> AsyncIterator[None]:
    """
    Perform *duties* while the block runs.

    *stored* gives how many records this process has stored so far.
    """
    tasks = [asyncio.create_task(_perform(duty, stored), name=duty.name) for duty in duties]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _perform(duty: Duty, stored: Callable[[], int]) -> None:
    seen = stored()
    while True:
        await _until_due(duty, stored, seen)
        seen = stored()  # before the duty, which may not see what is stored meanwhile
        try:
            await duty.do()
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            log.warning("duty postponed", duty=duty.name, error="cancelled from within")
        except ReceiverError as error:
            log.warning("duty postponed", duty=duty.name, error=str(error))
        except Exception:  # a duty that failed is repeated all the same
            log.exception("duty failed", duty=duty.name)


async def _until_due(duty: Duty, stored: Callable[[], int], seen: int) -> None:
    """Wait for the period, then until more than *seen* is stored or `idle_every` is over."""
    every = duty.every.total_seconds()
    longest = (duty.idle_every or duty.every).total_seconds()
    waited = every
    await asyncio.sleep(every)
    while waited < longest and stored() == seen:
        await asyncio.sleep(every)
        waited += every


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
