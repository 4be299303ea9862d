"""Work that is done again and again in every process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

import structlog

from app.errors import ReceiverError

log = structlog.get_logger()


class Duty(NamedTuple):
    """Something to do every so often; it sees to it itself that processes do nothing twice."""

    name: str
    every: timedelta
    do: Callable[[], Awaitable[object]]


@asynccontextmanager
async def performed(*duties: Duty) -> AsyncIterator[None]:
    """Perform *duties* while the block runs."""
    tasks = [asyncio.create_task(_perform(duty), name=duty.name) for duty in duties]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _perform(duty: Duty) -> None:
    while True:
        await asyncio.sleep(duty.every.total_seconds())
        try:
            await duty.do()
        except asyncio.CancelledError:
            if _is_asked_to_end():
                raise
            log.warning("duty postponed", duty=duty.name, error="cancelled from within")
        except ReceiverError as error:
            log.warning("duty postponed", duty=duty.name, error=str(error))
        except Exception:  # a duty that fails once must not be given up for good
            log.exception("duty failed", duty=duty.name)


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
