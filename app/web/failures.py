"""Limiting failed sign-ins by address."""

import time
from collections.abc import Callable
from math import ceil
from typing import Final

from app.kit.lru_cache import LruCache

#: Failures of one address that are forgiven within the time below.
FORGIVEN: Final = 5
WITHIN_SECONDS: Final = 60.0
#: Addresses that are remembered.
_MAX_ADDRESSES: Final = 10_000


class SignInFailures:
    """Counts the failed sign-ins of each address, in this process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed_at: LruCache[str, list[float]] = LruCache(_MAX_ADDRESSES)

    def seconds_to_wait(self, address: str) -> int:
        """For how long *address* has to wait before it may try again; 0 if it may."""
        failed_at = self._recent(address)
        if len(failed_at) < FORGIVEN:
            return 0
        return max(1, ceil(failed_at[-FORGIVEN] + WITHIN_SECONDS - self._clock()))

    def note(self, address: str) -> None:
        """A sign-in from *address* has failed, or has begun: those sent at once count as well."""
        self._failed_at.put(address, [*self._recent(address), self._clock()])

    def forgive(self, address: str) -> None:
        """The last sign-in from *address* that was noted has not failed."""
        self._failed_at.put(address, self._recent(address)[:-1])

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - WITHIN_SECONDS
        return [at for at in self._failed_at.find(address) or () if at > since]
