"""Polling how far the feed can be served, for all clients of a process that wait for more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from app.domain.feed import BEGINNING, Position
from app.errors import ReceiverError
from app.kit.tasks import is_cancelled

log = structlog.get_logger()

_POLL_EVERY_SECONDS: Final = 0.15
_RETRY_AFTER_SECONDS: Final = 1.0
#: A client that read in vain reads again after 1, 2, 4, … polls.
_MAX_DOUBLINGS: Final = 10


class FeedWatcher:
    """
    Polls the newest servable position while clients wait, and wakes them when it advances.

    Storing a callback costs nothing more because of waiting clients, and a waiting client holds no
    connection to the database.

    Replicas behind one address may differ in how far they are. So only an advance counts: a poll
    that gives an older position than an earlier poll wakes no client. A client whose reads come
    from a replica that is behind waits for an advance too; without one, it reads again after ever
    more polls.

    Args:
        poll: Gives the newest servable position.
    """

    def __init__(self, poll: Callable[[], Awaitable[Position]]) -> None:
        self._poll = poll
        self._newest = BEGINNING
        self._advanced = asyncio.Event()
        self._polled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: Whether no client is to wait any more.
        self.is_closed = False
        self._is_current = False
        #: How many clients wait.
        self.waiting = 0

    def has_nothing_beyond(self, position: Position) -> bool:
        """Whether the last poll, a moment ago, found nothing beyond *position*."""
        return self._is_current and self._newest <= position

    def forget(self) -> None:
        """Forget how far the feed was: the database may be another one, which is not as far."""
        self._newest = BEGINNING
        self._is_current = False

    async def wait_beyond(
        self, position: Position, *, within_seconds: float, in_vain: int = 0
    ) -> bool:
        """
        Return once something beyond *position* can be served, *position* being where a read ended.

        *in_vain* is how often the caller has read again and come no further than *position*.

        Returns:
            Whether another read is worth while; False when the time is over or on shutdown.
        """
        if within_seconds <= 0 or self.is_closed:
            return False
        self.waiting += 1
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="watcher of the feed")
        try:
            async with asyncio.timeout(within_seconds):
                if self._newest > position:  # the read was from a replica that is behind
                    await self._until_advance(max_polls=1 << min(in_vain, _MAX_DOUBLINGS))
                while self._newest <= position and not self.is_closed:
                    await self._advanced.wait()
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
        return not self.is_closed

    async def _until_advance(self, *, max_polls: int) -> None:
        newest = self._newest
        for _ in range(max_polls):
            await self._polled.wait()
            if self._newest > newest or self.is_closed:
                return

    def close(self) -> None:
        """Release all clients that wait, now and from now on."""
        self.is_closed = True
        self._advanced.set()
        self._polled.set()
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        try:
            while self.waiting:
                pause_seconds = await self._poll_once()
                self._polled = _woken(self._polled)
                await asyncio.sleep(pause_seconds)
        finally:
            self._is_current = False
            self._task = None

    async def _poll_once(self) -> float:
        """Poll, and return how many seconds to pause."""
        try:
            newest = await self._poll()
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            self._is_current = False
            log.warning("the feed cannot be polled", error="cancelled from within")
            return _RETRY_AFTER_SECONDS
        except ReceiverError as error:
            self._is_current = False
            log.warning("the feed cannot be polled", error=str(error))
            return _RETRY_AFTER_SECONDS
        except Exception:  # without a poll, no waiting client would ever be woken again
            self._is_current = False
            log.exception("polling the feed failed")
            return _RETRY_AFTER_SECONDS
        self._is_current = True
        if newest > self._newest:
            self._newest = newest
            self._advanced = _woken(self._advanced)
        return _POLL_EVERY_SECONDS


def _woken(event: asyncio.Event) -> asyncio.Event:
    """Wake all that wait for *event*; gives the event that the next ones wait for."""
    event.set()
    return asyncio.Event()
