"""Reading the fields of filters, which stand in URLs that anybody may have changed."""

from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from app.errors import InvalidCursor, InvalidRequest
from app.kit.cursor import CursorInvalid, decode_cursor
from app.kit.instants import parse_instant

W = TypeVar("W", bound=StrEnum)

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
    raise InvalidRequest(f"No {field} is called {given!r}. Choose one in the form above the list.")


def instant_in(given: str) -> datetime | None:
    """
    A time, in UTC unless it says otherwise; None if none was given.

    Raises:
        InvalidRequest: it cannot be read.
    """
    if not given:
        return None
    instant = parse_instant(given)
    if instant is None:
        raise InvalidRequest(f"{given!r} is no time. Write one as 2026-07-05T10:28, in UTC.")
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


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
