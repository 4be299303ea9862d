"""
Readers of single values of Routee's JSON, whatever type they have, and how much of them is kept.

Each reader gives None for a value that it cannot use and never raises, except `identifier`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation, Rounded
from typing import Any, Final

from app.domain.phone_number import MAX_SPELLING_CHARACTERS, canonical_number, trimmed

Payload = Mapping[str, Any]

MAX_ID_BYTES: Final = 512
# Longer texts are cut in columns. The payload keeps them whole.
MAX_NUMBER_CHARACTERS: Final = 32
MAX_STATUS_CHARACTERS: Final = 64
MAX_SENDER_CHARACTERS: Final = 64
MAX_COUNTRY_CHARACTERS: Final = 32
MAX_LABEL_CHARACTERS: Final = 350
MAX_REASON_CHARACTERS: Final = 350
MAX_DESCRIPTION_CHARACTERS: Final = 1000
MAX_CAMPAIGN_NAME_CHARACTERS: Final = 350

#: PostgreSQL refuses NUL; UTF-8 has no lone surrogates.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Times outside come from clocks that were never set, or from seconds read as milliseconds.
_FIRST_YEAR: Final = 2010
_LAST_YEAR: Final = 2099
#: PostgreSQL's numeric and Python's default decimal context both keep these digits exactly.
_MAX_MONEY_DIGITS: Final = 28
#: Refuses what has more digits instead of rounding it.
_EXACT: Final = Context(prec=_MAX_MONEY_DIGITS, traps=[InvalidOperation, Rounded])
_MAX_MONEY_MAGNITUDE: Final = 15
_SHORTEST_EPOCH_MILLISECONDS: Final = 12
#: Beyond the year 5000. The limit also stops 1E+400000000 from becoming an integer.
_MAX_EPOCH_MILLISECONDS: Final = 10**14


class UnusableId(ValueError):
    """The id is too long, or has characters that cannot be stored."""


def identifier(payload: Payload, *keys: str) -> str | None:
    """
    The opaque id under the first of *keys* that has one. An id may be a whole number, not empty.

    Raises:
        UnusableId: it is longer than 512 bytes, or has NUL or lone surrogates. They are not
            replaced, because that could make two ids equal.
    """
    for key in keys:
        value = payload.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = _spelt(value)
        if isinstance(value, str) and value:
            return _usable(value)
    return None


def _usable(value: str) -> str:
    if not _is_storable(value) or len(value.encode()) > MAX_ID_BYTES:
        raise UnusableId
    return value


def _is_storable(value: str) -> bool:
    # `isascii` is a flag of the string, so most strings skip the search.
    return "\0" not in value if value.isascii() else not _UNSTORABLE.search(value)


def as_text(value: object, limit: int | None = None) -> str | None:
    """*value* as text of at most *limit* characters; None if it is empty, null or nested."""
    if isinstance(value, str):
        if not value:
            return None
        value = value[:limit]
        return value if _is_storable(value) else _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return _spelt(value)[:limit]
    return None


def _spelt(value: float | Decimal) -> str:  # (float includes int)
    try:
        return str(value)
    except ValueError:  # it has more digits than Python converts
        return "\ufffd"


def text(payload: Payload, *keys: str, limit: int | None = None) -> str | None:
    """The text under the first of *keys* that has any."""
    for key in keys:
        found = as_text(payload.get(key), limit)
        if found is not None:
            return found
    return None


def number(payload: Payload, key: str) -> str | None:
    """The telephone number under *key*, see `as_number`."""
    return as_number(payload.get(key))


def as_number(value: object) -> str | None:
    """
    The telephone number that *value* spells, see `canonical_number`; else its trimmed text.

    The text has at most `MAX_NUMBER_CHARACTERS`. An array of one element is read as the element.
    """
    if isinstance(value, list) and len(value) == 1:
        [value] = value
    if isinstance(value, Decimal):
        return _number_of_decimal(value)
    found = as_text(value, MAX_SPELLING_CHARACTERS + 1)
    return found and (canonical_number(found) or _cut_number(found))


def _number_of_decimal(value: Decimal) -> str | None:
    # A point in a JSON number is no separator.
    is_whole = value.is_finite() and value.adjusted() < _MAX_MONEY_DIGITS and value == int(value)
    spelt = str(int(value)) if is_whole else str(value)
    return (is_whole and canonical_number(spelt)) or _cut_number(spelt)


def _cut_number(text: str) -> str | None:
    return trimmed(text)[:MAX_NUMBER_CHARACTERS] or None


def time(payload: Payload, *keys: str) -> datetime | None:
    """The time under the first of *keys* that has one, see `as_time`."""
    for key in keys:
        found = as_time(payload.get(key))
        if found is not None:
            return found
    return None


def as_time(value: object) -> datetime | None:
    """
    *value* in UTC: ISO 8601 with up to 9 digits of fraction, or epoch milliseconds.

    None if it is neither, or outside 2010 to 2099.
    """
    try:
        found = _instant(value)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    if found is None or not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        return None
    return found


def _instant(value: object) -> datetime | None:
    if isinstance(value, str):
        written = value.strip()
        if len(written) >= _SHORTEST_EPOCH_MILLISECONDS and written.isdecimal():
            return _since_epoch(int(written))
        found = datetime.fromisoformat(written)
        if found.tzinfo is UTC:
            return found
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _since_epoch(value)
    return None


def _since_epoch(value: int | Decimal) -> datetime:
    sane = -_MAX_EPOCH_MILLISECONDS < value < _MAX_EPOCH_MILLISECONDS
    milliseconds = int(value) if sane else 0
    return _EPOCH + timedelta(milliseconds=milliseconds)


def as_money(value: object) -> Decimal | None:
    """
    *value* as an exact decimal without trailing zeros, so that equal amounts have one spelling.

    None for more than 28 digits, NaN and Infinity.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        amount = _EXACT.create_decimal(value)
    except (InvalidOperation, Rounded, ValueError):
        return None
    if not amount.is_finite():
        return None
    if not amount:
        return Decimal(0)
    if not -_MAX_MONEY_DIGITS <= amount.adjusted() <= _MAX_MONEY_MAGNITUDE:
        return None
    return amount.normalize()
