"""Logging what happens very often once in a while."""

import math
import time
from collections.abc import Callable


class LogLimiter:
    """Says when something that happens often is to be logged: at most once in so many seconds."""

    def __init__(
        self, every_seconds: float = 60.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._every_seconds = every_seconds
        self._logged_at = -math.inf
        self._times = 0

    def due(self) -> int:
        """Note that it has happened; how often since the last log line if one is due, else 0."""
        self._times += 1
        now = self._clock()
        if now - self._logged_at < self._every_seconds:
            return 0
        times, self._times, self._logged_at = self._times, 0, now
        return times
