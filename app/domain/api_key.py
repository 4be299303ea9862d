"""What an API key is and what it allows."""

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
    """What a key may be used for."""

    #: Statuses, messages, campaigns, replies.
    READ = "read"
    #: Launching and cancelling campaigns.
    CAMPAIGNS = "campaigns"
    #: Everything, exact raw payloads and the quarantine included.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a backend; the key itself is known to that backend alone."""

    id: UUID
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    #: To the minute; None when it never was.
    last_used_at: datetime | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether the key may be used for *scope*."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_good(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key() -> str:
    """A new key of 256 random bits, recognisable as one of ours by its prefix."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def digest(key: str) -> bytes:
    """What is stored of a key: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
