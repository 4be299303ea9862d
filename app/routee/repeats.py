"""The only file that knows how often, and after which pauses, a harmless call is repeated."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from app.errors import RouteeTokenUnavailable, RouteeUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repeats:
    """How calls are repeated that may be repeated without harm."""

    attempts: int = 4
    #: No further attempt is planned after this time.
    within_seconds: float = 60.0
    #: Doubled by each further attempt.
    first_pause_seconds: float = 0.2
    max_pause_seconds: float = 5.0
    #: Up to so much is added to each pause, so that replicas do not come back all at once.
    jitter_seconds: float = 0.5
    #: If Routee asks for a longer pause, that is left to the caller.
    max_retry_after_seconds: int = 30

    async def call(self, question: Callable[[], Awaitable[T]]) -> T:
        """
        The first result of *question*.

        Raises:
            RouteeUnavailable: the last failure, if no attempt succeeded or none would help.
        """
        return await self._calls(self._pause, question)

    async def call_for_token(self, question: Callable[[], Awaitable[T]]) -> T:
        """As `call`, for the request for an access token itself."""
        return await self._calls(self._pause_for_token, question)

    @property
    def _calls(self) -> stamina.AsyncRetryingCaller:
        return stamina.AsyncRetryingCaller(
            attempts=self.attempts,
            timeout=self.within_seconds,
            wait_initial=self.first_pause_seconds,
            wait_max=self.max_pause_seconds,
            wait_jitter=self.jitter_seconds,
        )

    def _pause(self, error: Exception) -> bool | float:
        # A token was asked for repeatedly already: repeating that would multiply the attempts.
        return not isinstance(error, RouteeTokenUnavailable) and self._pause_for_token(error)

    def _pause_for_token(self, error: Exception) -> bool | float:
        """Whether to go on, by stamina's pause (True) or by Routee's (seconds)."""
        if not isinstance(error, RouteeUnavailable) or not error.temporary:
            return False
        seconds = error.retry_after_seconds
        if not seconds:
            return True
        if seconds > self.max_retry_after_seconds:
            return False
        return seconds + random.uniform(0, self.jitter_seconds)  # noqa: S311 (no secret)
