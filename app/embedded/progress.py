"""The only file that knows how often a waiting person is told what is waited for."""

import asyncio
import time
from collections.abc import Callable

#: Shorter than a person notices, longer than a starting server is bothered by.
POLL_SECONDS = 0.05

_FIRST_SECONDS = 2.0
_NEXT_SECONDS = 5.0


class Progress:
    """One wait, reported after two seconds and then every five, with the time it took so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._started = time.monotonic()
        self._due_seconds = _FIRST_SECONDS

    @property
    def elapsed_seconds(self) -> float:
        """How long this wait has lasted."""
        return time.monotonic() - self._started

    async def pause(self, reason: str) -> None:
        """Wait a moment, and say *reason* if it is time to."""
        elapsed = self.elapsed_seconds
        if elapsed >= self._due_seconds:
            self._say(f"{reason} ({elapsed:.0f} s)")
            self._due_seconds = elapsed + _NEXT_SECONDS
        await asyncio.sleep(POLL_SECONDS)
