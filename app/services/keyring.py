"""Which API key a request has, mostly from memory, and when each was last used."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from app.db.api_keys import find_api_key, record_uses
from app.db.database import Database
from app.domain.api_key import ApiKey, digest
from app.errors import Overloaded, Unauthorized
from app.kit.lru_cache import LruCache

#: For so long a key is believed without looking again: a revoked one lives no longer.
REMEMBERED_SECONDS: Final = 5.0
_MAX_REMEMBERED_KEYS: Final = 10_000
#: How exactly it is known when a key was last used.
USES_RECORDED_EVERY: Final = timedelta(minutes=1)
#: Unknown keys cost a query each, so guessing must not be fast.
_GUESSES_PER_SECOND: Final = 50


class _Known(NamedTuple):
    """What the database said, and until when that counts."""

    key: ApiKey | None
    until: float


class Keyring:
    """Verifies API keys."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: LruCache[bytes, _Known] = LruCache(_MAX_REMEMBERED_KEYS)
        self._under_way: dict[bytes, asyncio.Task[_Known]] = {}
        self._used_at: dict[bytes, datetime] = {}
        self._second = 0
        self._guesses = 0

    async def verified(self, key: str) -> ApiKey:
        """
        The API key that *key* is.

        Raises:
            Unauthorized: it is unknown, expired or revoked.
            Overloaded: too many unknown keys are being tried.
        """
        sha256 = digest(key)
        known = self._known.find(sha256)
        if known is None or known.until < self._clock():
            # A key that was good is no guess: guessing must not lock out those who have one.
            known = await self._looked_up(sha256, is_guess=known is None or known.key is None)
        now = datetime.now(UTC)
        if known.key is None or not known.key.is_good(now):
            raise Unauthorized
        self._used_at[sha256] = now
        return known.key

    async def record_uses(self) -> None:
        """
        Store when each key was last used, of those used since the last time.

        Raises:
            DatabaseUnavailable: it cannot be stored now; the next time it will.
        """
        used_at, self._used_at = self._used_at, {}
        if not used_at:
            return
        try:
            await record_uses(self._database, used_at, at_least=USES_RECORDED_EVERY)
        except BaseException:
            self._used_at = used_at | self._used_at
            raise

    async def _looked_up(self, sha256: bytes, *, is_guess: bool) -> _Known:
        """What the database says; however many requests wait for it, it is asked once."""
        lookup = self._under_way.get(sha256)
        if lookup is None:
            if is_guess:
                self._count_guess()
            lookup = asyncio.create_task(self._ask(sha256))
            self._under_way[sha256] = lookup
        return await asyncio.shield(lookup)

    async def _ask(self, sha256: bytes) -> _Known:
        try:
            key = await find_api_key(self._database, sha256)
        finally:
            del self._under_way[sha256]
        known = _Known(key, self._clock() + REMEMBERED_SECONDS)
        self._known.put(sha256, known)
        return known

    def _count_guess(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._guesses = second, 0
        self._guesses += 1
        if self._guesses > _GUESSES_PER_SECOND:
            raise Overloaded("Too many API keys are being tried.", retry_after_seconds=1)
