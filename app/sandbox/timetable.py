"""The only file of the simulator that waits for what is due."""

import asyncio
import heapq
import itertools
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Timetable(Generic[T]):
    """Hands out each item once it is due, the earliest first; equals in the order of adding."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._added = asyncio.Event()

    def add(self, item: T, *, in_seconds: float) -> None:
        """Make *item* due so many seconds from now."""
        due = asyncio.get_running_loop().time() + in_seconds
        heapq.heappush(self._entries, (due, next(self._order), item))
        self._added.set()

    async def next(self) -> T:
        """Wait for the earliest item and take it out. For one caller at a time."""
        while (seconds := self._seconds_until_next()) is None or seconds > 0:
            self._added.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._added.wait()
        return heapq.heappop(self._entries)[2]

    def _seconds_until_next(self) -> float | None:
        if not self._entries:
            return None
        return self._entries[0][0] - asyncio.get_running_loop().time()
