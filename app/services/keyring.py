"""Verifying API keys, mostly from a cache, and recording when each was last used."""

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

#: How long a lookup is cached, and so how long a revoked key still works.
CACHED_SECONDS: Final = 5.0
_MAX_CACHED_KEYS: Final = 10_000
#: The precision of the time of a key's last use.
USES_RECORDED_EVERY: Final = timedelta(minutes=1)
#: An unknown key costs a query.
_GUESSES_PER_SECOND: Final = 50


class _Lookup(NamedTuple):
    """The key that a query found, and until when this is valid."""

    key: ApiKey | None
    until: float


class Keyring:
    """Verifies API keys."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._cached: LruCache[bytes, _Lookup] = LruCache(_MAX_CACHED_KEYS)
        self._queries: dict[bytes, asyncio.Task[_Lookup]] = {}
        self._used_at: dict[bytes, datetime] = {}
        self._second = 0
        self._guesses = 0

    async def verified(self, key: str) -> ApiKey:
        """
        The stored key of the secret text *key*.

        Raises:
            Unauthorized: it is unknown, expired or revoked.
            Overloaded: too many unknown keys are being tried.
        """
        sha256 = digest(key)
        lookup = self._cached.find(sha256)
        if lookup is None or lookup.until < self._clock():
            # A key that was good is not a guess: guessing must not lock out the callers with a key.
            lookup = await self._looked_up(sha256, is_guess=lookup is None or lookup.key is None)
        now = datetime.now(UTC)
        if lookup.key is None or not lookup.key.is_good(now):
            raise Unauthorized
        self._used_at[sha256] = now
        return lookup.key

    async def record_uses(self) -> None:
        """
        Store the last use of each key that was used since the last call.

        Raises:
            DatabaseUnavailable: nothing was stored; the next call stores it.
        """
        used_at, self._used_at = self._used_at, {}
        if not used_at:
            return
        try:
            await record_uses(self._database, used_at, at_least=USES_RECORDED_EVERY)
        except BaseException:
            self._used_at = used_at | self._used_at
            raise

    async def _looked_up(self, sha256: bytes, *, is_guess: bool) -> _Lookup:
        """Look the key up; concurrent requests with one key share one query."""
        query = self._queries.get(sha256)
        if query is None:
            if is_guess:
                self._count_guess()
            query = self._queries[sha256] = asyncio.create_task(self._query(sha256))
        return await asyncio.shield(query)

    async def _query(self, sha256: bytes) -> _Lookup:
        try:
            key = await find_api_key(self._database, sha256)
        finally:
            del self._queries[sha256]
        lookup = _Lookup(key, self._clock() + CACHED_SECONDS)
        self._cached.put(sha256, lookup)
        return lookup

    def _count_guess(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._guesses = second, 0
        self._guesses += 1
        if self._guesses > _GUESSES_PER_SECOND:
            raise Overloaded("Too many API keys are being tried.", retry_after_seconds=1)
