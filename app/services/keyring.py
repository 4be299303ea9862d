"""Which API key a request has, mostly from memory."""

import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from app.db.api_keys import find_api_key
from app.db.database import Database
from app.domain.api_key import ApiKey, digest
from app.errors import Overloaded, Unauthorized
from app.kit.recent import Recent

#: For so long a key is believed without looking again: a revoked one lives no longer.
REMEMBERED_SECONDS: Final = 5.0
_MAX_REMEMBERED_KEYS: Final = 10_000
#: Unknown keys cost a query each, so guessing must not be fast.
_LOOKUPS_PER_SECOND: Final = 50


class _Known(NamedTuple):
    """What the database said, and until when that counts."""

    key: ApiKey | None
    until: float


class Keyring:
    """Verifies API keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: Recent[bytes, _Known] = Recent(_MAX_REMEMBERED_KEYS)
        self._second = 0
        self._lookups = 0

    async def verified(self, key: str) -> ApiKey:
        """
        The API key that *key* is.

        Raises:
            Unauthorized: it is unknown, expired or revoked.
            Overloaded: too many unknown keys are being tried.
        """
        sha256 = digest(key)
        known = self._known.find(sha256)
        if known is None or known.until < time.monotonic():
            known = await self._looked_up(sha256)
        if known.key is None or not known.key.is_good(datetime.now(UTC)):
            raise Unauthorized
        return known.key

    async def _looked_up(self, sha256: bytes) -> _Known:
        self._count_lookup()
        key = await find_api_key(self._database, sha256)
        known = _Known(key, time.monotonic() + REMEMBERED_SECONDS)
        self._known.put(sha256, known)
        return known

    def _count_lookup(self) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lookups = second, 0
        self._lookups += 1
        if self._lookups > _LOOKUPS_PER_SECOND:
            raise Overloaded("Too many API keys are being tried.", retry_after_seconds=1)
