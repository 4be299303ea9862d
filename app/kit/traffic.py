"""How much is going on at the moment."""

import time
from collections.abc import Callable
from typing import Final

#: Short, so that a surge is noticed before it is over.
_WINDOW_SECONDS: Final = 0.25


class Traffic:
    """Counts what passes, and says how much of it there is a second."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._items = 0
        self._before = 0.0

    def add(self, items: int) -> None:
        """So many have passed."""
        self._turn_over()
        self._items += items

    @property
    def per_second(self) -> float:
        """As many as in the present window or in the one before, whichever had more."""
        self._turn_over()
        return max(self._before, self._items / _WINDOW_SECONDS)

    def _turn_over(self) -> None:
        spent = self._clock() - self._since
        if spent < _WINDOW_SECONDS:
            return
        self._before = self._items / spent
        self._since, self._items = self._since + spent, 0
