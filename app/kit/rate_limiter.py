"""Letting callers go on one after another, at a limited rate."""

import asyncio
from collections import deque
from collections.abc import Callable


class RateLimiter:
    """
    Releases callers in the order in which they came, at most so many per second.

    Without a limit it releases one caller per tick of the event loop, so that a crowd that is
    woken at once does not keep the loop from its other work.

    Args:
        per_second: Gives the rate of the moment; 0 means no limit. It is called after each release.
    """

    def __init__(self, per_second: Callable[[], float]) -> None:
        self._per_second = per_second
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._releasing: asyncio.Task[None] | None = None
        self._is_closed = False

    async def wait(self, *, within_seconds: float) -> bool:
        """
        Return when the caller may go on, after *within_seconds* at the latest.

        Returns:
            Whether the rate has delayed the caller.
        """
        if self._is_closed or within_seconds <= 0:
            return False
        released = asyncio.get_running_loop().create_future()
        self._waiting.append(released)
        if self._releasing is None:
            self._releasing = asyncio.create_task(self._release(), name="rate limiter")
        try:
            await asyncio.wait({released}, timeout=within_seconds)
            return released.result() if released.done() and not released.cancelled() else True
        finally:
            released.cancel()

    def close(self) -> None:
        """Release all callers, now and from now on."""
        self._is_closed = True
        if self._releasing is not None:
            self._releasing.cancel()
        for released in self._waiting:
            released.cancel()
        self._waiting.clear()

    async def _release(self) -> None:
        is_limited = False
        try:
            while self._waiting:
                released = self._waiting.popleft()
                if released.done():  # its caller has stopped waiting
                    continue
                released.set_result(is_limited)
                rate = self._rate()
                is_limited = rate > 0
                await asyncio.sleep(1 / rate if is_limited else 0)
        finally:
            self._releasing = None

    def _rate(self) -> float:
        try:
            return self._per_second()
        except Exception as error:  # noqa: BLE001 (those who wait must be released all the same)
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the rate of a limiter is not known", "exception": error}
            )
            return 0
