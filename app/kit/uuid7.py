"""UUIDs that sort by their time of creation (RFC 9562, section 5.7)."""

import secrets
import time
from typing import Final
from uuid import UUID

_RANDOM_BITS: Final = 80
_VERSION: Final = 0x7 << 76
_VERSION_MASK: Final = ~(0xF << 76)
_VARIANT: Final = 0b10 << 62
_VARIANT_MASK: Final = ~(0b11 << 62)


def uuid7() -> UUID:
    """A new UUID: 48 bits of milliseconds since 1970, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return UUID(int=(value & _VERSION_MASK & _VARIANT_MASK) | _VERSION | _VARIANT)
