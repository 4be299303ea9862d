"""The only file that knows the two forms of `Retry-After` (RFC 9110, section 10.2.3)."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: Longer digit strings are nonsense.
_MAX_DIGITS: Final = 9


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> int | None:
    """How long to wait, from whole seconds or an HTTP date; None if it is not said."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS:
        return int(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(math.ceil((moment - (now or datetime.now(UTC))).total_seconds()), 0)
