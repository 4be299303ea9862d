"""Letting a crowd through one after the other instead of all at once."""

import asyncio
from collections import deque
from collections.abc import Callable


class Pace:
    """
    Gives turns, in the order in which they were asked for, at most so many a second.

    Args:
        per_second: How many at the moment; asked anew before each.
    """

    def __init__(self, per_second: Callable[[], float]) -> None:
        self._per_second = per_second
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._giving: asyncio.Task[None] | None = None
        self._is_closed = False

    async def turn(self, *, within_seconds: float) -> None:
        """Return when it is the caller's turn, but after *within_seconds* at the latest."""
        if self._is_closed or within_seconds <= 0:
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._giving is None:
            self._giving = asyncio.create_task(self._give(), name="turns")
        try:
            await asyncio.wait({turn}, timeout=within_seconds)
        finally:
            turn.cancel()

    def close(self) -> None:
        """Let everybody through, now and from now on."""
        self._is_closed = True
        if self._giving is not None:
            self._giving.cancel()
        for turn in self._waiting:
            turn.cancel()
        self._waiting.clear()

    async def _give(self) -> None:
        try:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.done():  # whoever asked has not waited for it
                    continue
                turn.set_result(None)
                await asyncio.sleep(1 / self._per_second())
        finally:
            self._giving = None
