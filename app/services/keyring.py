"""Verifying API keys from memory, and recording when each was last used."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app.db.api_keys import api_keys_by_digest, record_uses
from app.db.database import Database
from app.domain.api_key import ApiKey, digest
from app.errors import Overloaded, Unauthorized
from app.kit.log_limiter import LogLimiter
from app.kit.lru_cache import LruCache

log = structlog.get_logger()

#: How long what was read is used, and so how long a revoked key still works.
CACHED_SECONDS: Final = 5.0
#: The precision of the time of a key's last use.
USES_RECORDED_EVERY: Final = timedelta(minutes=1)
#: A revoked or expired key that is used again is named so often.
_WARNED_SECONDS: Final = 60.0
#: Unknown keys that are remembered, so that one that is tried again costs nothing.
_MAX_MISSES: Final = 1000
#: Of more than so many unknown keys, callers are asked to slow down.
_GUESSES_PER_SECOND: Final = 50
#: While they do not, the keys are read at most this often.
_PAUSE_SECONDS: Final = 0.05


class Keyring:
    """
    Verifies API keys.

    All keys are in memory. A key that is not there may have been made since: then they are all
    read again, in one read for all callers that wait. So guessing costs a few reads in a second,
    however many guess, and a key that is good is never counted as a guess.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._keys: Mapping[bytes, ApiKey] = {}
        #: The digests of all keys, by the keys' ids.
        self._digests: Mapping[UUID, bytes] = {}
        #: When the last read began; None before the first one.
        self._read_at: float | None = None
        #: Until when a key is taken for unknown without another read.
        self._misses: LruCache[bytes, float] = LruCache(_MAX_MISSES)
        self._reading: asyncio.Task[None] | None = None
        #: The read that begins when the running one has ended.
        self._next: asyncio.Task[None] | None = None
        #: Revoked and expired keys that a warning named.
        self._warned: LruCache[UUID, LogLimiter] = LruCache(_MAX_MISSES)
        self._used_at: dict[bytes, datetime] = {}
        self._second = 0
        self._guesses = 0

    async def verified(self, key: str) -> ApiKey:
        """
        The stored key of the secret text *key*.

        Raises:
            Unauthorized: it is unknown, expired or revoked.
            Overloaded: it is unknown, and too many unknown keys are being tried.
        """
        sha256 = digest(key)
        found = self._known(sha256) or await self._found(sha256)
        now = datetime.now(UTC)
        if not found.is_good(now):
            self._warn_of(found)
            raise Unauthorized
        self._used_at[sha256] = now
        return found

    async def current(self, key_id: UUID) -> ApiKey:
        """
        The stored key of that id, as of `CACHED_SECONDS` ago at most.

        Raises:
            Unauthorized: it is unknown, expired or revoked.
            DatabaseUnavailable: it cannot be found out.
        """
        if self._read_at is None or self._clock() - self._read_at > CACHED_SECONDS:
            await self._read_now()
        sha256 = self._digests.get(key_id)
        found = None if sha256 is None else self._keys.get(sha256)
        now = datetime.now(UTC)
        if sha256 is None or found is None or not found.is_good(now):
            raise Unauthorized
        self._used_at[sha256] = now
        return found

    def _warn_of(self, bad: ApiKey) -> None:
        """Name a key that somebody still uses and should not."""
        limiter = self._warned.find(bad.id)
        if limiter is None:
            limiter = LogLimiter(_WARNED_SECONDS)
            self._warned.put(bad.id, limiter)
        if times := limiter.due():
            how = "revoked" if bad.revoked_at else "expired"
            log.warning(
                "an API key was used that is no longer good", why=how, name=bad.name, times=times
            )

    def forget(self) -> None:
        """Read all keys again before the next one is verified: it may be another database."""
        self._read_at = None

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

    def _known(self, sha256: bytes) -> ApiKey | None:
        """The key in memory, if that was read a moment ago."""
        if self._read_at is None or self._clock() - self._read_at > CACHED_SECONDS:
            return None
        return self._keys.get(sha256)

    async def _found(self, sha256: bytes) -> ApiKey:
        """The key among those that are stored now."""
        missed_until = self._misses.find(sha256)
        if missed_until is not None and self._clock() < missed_until:
            raise Unauthorized
        await self._read_now()
        found = self._keys.get(sha256)
        if found is None:
            self._misses.put(sha256, self._clock() + CACHED_SECONDS)
            self._count_guess()
            raise Unauthorized
        return found

    async def _read_now(self) -> None:
        """Read the keys; concurrent callers share the first read that begins after they came."""
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._read_after(self._reading))
            self._next.add_done_callback(_mark_as_handled)
        await asyncio.shield(self._next)

    async def _read_after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None:
            await asyncio.wait({running})
            if self._is_guessed():
                await asyncio.sleep(_PAUSE_SECONDS)
        # Callers that come from now on may know of a key that this read is too early for.
        self._reading, self._next = self._next, None
        began = self._clock()
        self._keys = await api_keys_by_digest(self._database)
        self._digests = {key.id: sha256 for sha256, key in self._keys.items()}
        self._read_at = began

    def _count_guess(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._guesses = second, 0
        self._guesses += 1
        if self._is_guessed():
            raise Overloaded("Too many API keys are being tried.", retry_after_seconds=1)

    def _is_guessed(self) -> bool:
        """Whether too many unknown keys were tried in this second."""
        return self._guesses > _GUESSES_PER_SECOND and self._second == int(self._clock())


def _mark_as_handled(reading: asyncio.Task[None]) -> None:
    """All callers of a read may have been cancelled."""
    if not reading.cancelled():
        reading.exception()
