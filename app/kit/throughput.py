"""Measuring how many items pass per second at the moment."""

import time
from collections.abc import Callable
from typing import Final

#: Short, so that a surge is noticed before it is over.
_WINDOW_SECONDS: Final = 0.25


class Throughput:
    """Counts items and gives their rate over the last fraction of a second."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._items = 0
        self._previous = 0.0
        #: The number of items that have passed since the start.
        self.total = 0

    def add(self, items: int) -> None:
        """Count *items* that have just passed."""
        self._roll_window()
        self._items += items
        self.total += items

    @property
    def per_second(self) -> float:
        """The rate in the current window or in the previous one, whichever is higher."""
        self._roll_window()
        return max(self._previous, self._items / _WINDOW_SECONDS)

    def _roll_window(self) -> None:
        elapsed = self._clock() - self._since
        if elapsed < _WINDOW_SECONDS:
            return
        self._previous = self._items / elapsed
        self._since, self._items = self._since + elapsed, 0
