"""Long work in slices, so that what is urgent never waits for more than one of them."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Shorter ones make long reads long while ticks are long: a read gets one in each of them.
_SLICE_SECONDS: Final = 0.002


class Slices:
    """
    Runs functions over many items on the event loop, in slices of about two milliseconds.

    One slice runs in each tick of the loop, whatever the number of callers: between two of them
    the loop handles everything else that is ready.
    """

    def __init__(
        self, *, seconds: float = _SLICE_SECONDS, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._turn = asyncio.Lock()

    async def mapped(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The results of *function* for all *items*, in their order."""
        results: list[R] = []
        remaining = iter(items)
        while True:
            async with self._turn:
                ends = self._clock() + self._seconds
                for item in remaining:
                    results.append(function(item))
                    if self._clock() >= ends:
                        break
                else:
                    return results
                await asyncio.sleep(0)
