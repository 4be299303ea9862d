"""API keys and their scopes."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

_PREFIX: Final = "rr_"
_KEY_BYTES: Final = 32


class Scope(StrEnum):
    """What a key gives access to."""

    #: Statuses, messages, campaigns, replies.
    READ = "read"
    #: On the dashboard: telephone numbers in full.
    PII = "pii"
    #: Launching and cancelling campaigns.
    CAMPAIGNS = "campaigns"
    #: Everything, exact raw payloads and the quarantine included.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored, without the key itself."""

    id: UUID
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    #: To the minute; None if the key was never used.
    last_used_at: datetime | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether the key gives access to *scope*."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_good(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired at *now*."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key() -> str:
    """A new key of 256 random bits, with a prefix that secret scanners can recognise."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def digest(key: str) -> bytes:
    """The hash that is stored of a key; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
