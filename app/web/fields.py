"""Reading the fields of filters, which stand in URLs that anybody may have changed."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from app.errors import InvalidCursor, InvalidRequest
from app.kit.blanks import trimmed
from app.kit.cursor import CursorInvalid, decode_cursor
from app.kit.instants import parse_instant

#: Nothing was received before or is after; what is reckoned with times beyond could be none.
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)

W = TypeVar("W", bound=StrEnum)

MAX_ROW_ID: Final = 2**63 - 1
_ROW_ID_DIGITS: Final = len(str(MAX_ROW_ID))
#: Longer texts are in no column that is searched.
MAX_TEXT_CHARACTERS: Final = 512


def text_in(given: str, field: str) -> str | None:
    """
    A text to look for; None if none was given.

    Raises:
        InvalidRequest: no column can have it.
    """
    text = given.strip()
    if not text:
        return None
    is_storable = "\0" not in text and text.isprintable() and len(text) <= MAX_TEXT_CHARACTERS
    if not is_storable:
        raise InvalidRequest(
            f"The {field} to look for has more than {MAX_TEXT_CHARACTERS} characters, or some that "
            "cannot be read."
        )
    return text


def value_in(given: str, field: str) -> str | None:
    """
    What a column has exactly, blanks at its ends included; None if there is nothing but blanks.

    Raises:
        InvalidRequest: no column can have it.
    """
    if not trimmed(given):
        return None
    if "\0" in given or len(given) > MAX_TEXT_CHARACTERS:
        raise InvalidRequest(f"No {field} can have so many characters, or the character NUL.")
    return given


def words_in(words: type[W], given: Iterable[str], field: str) -> tuple[W, ...]:
    """
    Those of *words* that are given, each once and in their order.

    Raises:
        InvalidRequest: something else is given.
    """
    found = {word_in(words, one.strip(), field) for one in given}
    return tuple(word for word in words if word in found)


def word_in(words: type[W], given: str, field: str) -> W | None:
    """
    One of *words*; None if none was given.

    Raises:
        InvalidRequest: it is none of them.
    """
    if not given:
        return None
    with suppress(ValueError):
        return words(given)
    shown = given[:MAX_TEXT_CHARACTERS]
    raise InvalidRequest(f"No {field} is called {shown!r}. Choose one in the form above the list.")


def row_id_in(given: str) -> int | None:
    """The number of a row; None if no row can have it, of which any number of digits is given."""
    if given.isascii() and given.isdigit() and len(given) <= _ROW_ID_DIGITS:
        return min(int(given), MAX_ROW_ID)
    return None


def instant_in(given: str) -> datetime | None:
    """
    A time, in UTC unless it says otherwise, of 1970 to 2100; None if none was given.

    Raises:
        InvalidRequest: it cannot be read.
    """
    if not given:
        return None
    instant = parse_instant(given)
    if instant is None:
        shown = given[:MAX_TEXT_CHARACTERS]
        raise InvalidRequest(f"{shown!r} is no time. Write one as 2026-07-05T10:28, in UTC.")
    return min(max(instant if instant.tzinfo else instant.replace(tzinfo=UTC), _FIRST), _LAST)


def as_field(instant: datetime | None) -> str:
    """*instant* as a field for a time shows it, in UTC."""
    if instant is None:
        return ""
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="seconds" if utc.second else "minutes")


def position_in(cursor: str, *, scope: str) -> list[str | int] | None:
    """
    The position of the page in a list; None at its beginning. It may have been made up.

    Raises:
        InvalidCursor: it is none of this list.
    """
    if not cursor:
        return None
    with suppress(CursorInvalid):
        return decode_cursor(cursor, scope=scope)
    raise InvalidCursor(NO_SUCH_PAGE)


NO_SUCH_PAGE: Final = (
    "The address is of a page of another list. Begin at the first page of the list."
)
