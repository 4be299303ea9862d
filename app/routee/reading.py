"""
Readers of single values of Routee's JSON, whatever type they have, and how much of them is kept.

Each reader gives None for a value that it cannot use and never raises, except `identifier`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation, Rounded
from typing import Any, Final

from app.domain.phone_number import MAX_SPELLING_CHARACTERS, canonical_number
from app.domain.phone_number import trimmed as trimmed_number
from app.domain.tracking_id import canonical_id
from app.kit.blanks import trimmed
from app.kit.instants import parse_instant

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
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Times outside come from clocks that were never set, or from seconds read as milliseconds.
_FIRST_YEAR: Final = 2010
_LAST_YEAR: Final = 2099
#: PostgreSQL's numeric and Python's default decimal context both keep these digits exactly.
_MAX_MONEY_DIGITS: Final = 28
#: Refuses what has more digits instead of rounding it.
_EXACT: Final = Context(prec=_MAX_MONEY_DIGITS, traps=[InvalidOperation, Rounded])
_MAX_MONEY_MAGNITUDE: Final = 15
#: Every third character from the fifth on of 2019-07-05T10:28:44.996Z and 2019-07-05T10:28:44Z.
_USUAL_SHAPES: Final = frozenset(("--T::.", "--T::Z"))
#: Python ignores what follows six digits of a fraction, whatever it is.
_USUAL_CHARACTERS: Final = len("2019-07-05T10:28:44.996000Z")
#: A text of digits, perhaps as a program writes a large number.
_EPOCH: Final = re.compile(r"\+?(?:\d{10,19}(?:[.,]\d{0,30})?|\d(?:\.\d{0,30})?[eE]\+?\d\d)")
#: Of seconds, milliseconds, microseconds and nanoseconds. Of one number, only one of them is a time
#: of these years.
_EPOCH_DIGITS: Final = (0, 3, 6, 9)
_FIRST_SECOND: Final = int(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
_END_SECOND: Final = int(datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
_MICROSECOND_DIGITS: Final = 6


class UnusableId(ValueError):
    """The id is too long, or has characters that cannot be stored."""


def identifier(payload: Payload, *keys: str) -> str | None:
    """
    The opaque id under the first of *keys* that has one, see `canonical_id`. An id may be a whole
    number, not empty.

    Raises:
        UnusableId: it is longer than 512 bytes, or has NUL or lone surrogates. They are not
            replaced, because that could make two ids equal.
    """
    for key in keys:
        value = payload.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = _spelt(value)
        if isinstance(value, str) and (tracking_id := canonical_id(value)):
            return _usable(tracking_id)
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


def word(payload: Payload, *keys: str, limit: int | None = None) -> str | None:
    """The words under the first of *keys* that has any, without blanks at their ends."""
    for key in keys:
        found = as_word(payload.get(key), limit)
        if found is not None:
            return found
    return None


def as_word(value: object, limit: int | None = None) -> str | None:
    """As `as_text`, without blanks and invisible characters at the ends."""
    return as_text(trimmed(value) if isinstance(value, str) else value, limit)


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
    return trimmed_number(text)[:MAX_NUMBER_CHARACTERS] or None


def time(payload: Payload, *keys: str) -> datetime | None:
    """The time under the first of *keys* that has one, see `as_time`."""
    for key in keys:
        found = as_time(payload.get(key))
        if found is not None:
            return found
    return None


def as_time(value: object) -> datetime | None:
    """
    *value* in UTC: a text as `parse_instant` reads it, where no zone means UTC, or an epoch.

    An epoch is a number, or a text of digits, in seconds, milliseconds, microseconds or nanoseconds
    since 1970, with or without a fraction. Its size says which.

    None if it is neither, or outside 2010 to 2099.
    """
    if isinstance(value, str):
        # The usual spellings, quickly: these mean the same in every version of Python.
        if len(value) <= _USUAL_CHARACTERS and value[4:20:3] in _USUAL_SHAPES and value[-1] == "Z":
            try:
                found: datetime | None = datetime.fromisoformat(value)
            except ValueError:
                found = _written(value)
        else:
            found = _written(value)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        found = _since_epoch(value)
    else:
        return None
    return found if found is not None and _FIRST_YEAR <= found.year <= _LAST_YEAR else None


def _written(text: str) -> datetime | None:
    text = trimmed(text)
    if _EPOCH.fullmatch(text) and (found := _since_epoch(text.replace(",", "."))) is not None:
        return found
    found = parse_instant(text)
    return None if found is None else found.replace(tzinfo=UTC)


def _since_epoch(value: int | Decimal | str) -> datetime | None:
    try:
        number = Decimal(value)
        for digits in _EPOCH_DIGITS:
            seconds = number.scaleb(-digits)
            if _FIRST_SECOND <= seconds < _END_SECOND:
                microseconds = int(seconds.scaleb(_MICROSECOND_DIGITS))
                return _BEGINNING + timedelta(microseconds=microseconds)
    except ArithmeticError:  # it is no number, or far from any epoch
        pass
    return None


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
