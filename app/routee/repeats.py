"""How often, and after which pauses, a harmless call is repeated."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from app.errors import RouteeTokenUnavailable, RouteeUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repeats:
    """The policy for calls that may be repeated without harm."""

    attempts: int = 4
    #: After this time no further attempt is scheduled.
    within_seconds: float = 60.0
    #: Each attempt doubles it.
    first_pause_seconds: float = 0.2
    max_pause_seconds: float = 5.0
    #: A random part of it is added to each pause, so that replicas do not retry all at once.
    jitter_seconds: float = 0.5
    #: A call is not repeated if Routee asks for a longer pause; the caller decides.
    max_retry_after_seconds: int = 30

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """
        Call *function* until it succeeds, and return its result.

        Raises:
            RouteeUnavailable: the last failure, when no attempt succeeded or another cannot help.
        """
        return await self._calls(self._pause, function)

    async def call_for_token(self, function: Callable[[], Awaitable[T]]) -> T:
        """Like `call`, for the request for an access token."""
        return await self._calls(self._pause_for_token, function)

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
        # The token request was repeated already; a loop around it would multiply the attempts.
        return not isinstance(error, RouteeTokenUnavailable) and self._pause_for_token(error)

    def _pause_for_token(self, error: Exception) -> bool | float:
        """Whether to repeat, after stamina's pause (True) or after Routee's (seconds)."""
        if not isinstance(error, RouteeUnavailable) or not error.temporary:
            return False
        seconds = error.retry_after_seconds
        if not seconds:
            return True
        if seconds > self.max_retry_after_seconds:
            return False
        return seconds + random.uniform(0, self.jitter_seconds)  # noqa: S311 (not a secret)
