"""Reading what the query of a page says: anybody may have written it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from app.errors import InvalidCursor, InvalidRequest
from app.kit.blanks import trimmed
from app.kit.cursor import CursorInvalid, decode_cursor
from app.kit.instants import parse_instant
from app.web.visit import Visit

P = TypeVar("P")
W = TypeVar("W", bound=StrEnum)

#: No name, label or id is longer.
MAX_CHARACTERS: Final = 512
#: Of a wrong value, so much is quoted.
_QUOTED_CHARACTERS: Final = 60
_YEARS: Final = range(1970, 2101)


def text_in(visit: Visit, name: str, *, is_exact: bool = False) -> str | None:
    """
    The text of the parameter *name*; None if it is empty.

    Blanks at its ends are dropped, unless *is_exact*.

    Raises:
        InvalidRequest: nothing that is stored can be it.
    """
    given = visit.query.get(name, "")
    if "\0" in given or len(given) > MAX_CHARACTERS:
        raise InvalidRequest(f"The field “{name}” has a text that nothing here can be called.")
    return (given if is_exact and given.strip() else trimmed(given)) or None


def words_in(visit: Visit, name: str, words: type[W]) -> tuple[W, ...]:
    """
    The *words* that the values of the parameter *name* are, each once and in their order.

    Raises:
        InvalidRequest: one of the values is none of them.
    """
    given = {value.strip() for value in visit.request.query_params.getlist(name)} - {""}
    known = tuple(word for word in words if word in given)
    for value in sorted(given - set(known)):
        raise InvalidRequest(
            f"The field “{name}” cannot be {_quoted(value)}. It is one of: {', '.join(words)}."
        )
    return known


def instant_in(visit: Visit, name: str) -> datetime | None:
    """
    The time of the parameter *name*, in UTC unless it names another zone; None if it is empty.

    Raises:
        InvalidRequest: it is none.
    """
    given = visit.query.get(name, "").strip()
    if not given:
        return None
    instant = parse_instant(given)
    if instant is None or instant.year not in _YEARS:
        raise InvalidRequest(
            f"The field “{name}” cannot be {_quoted(given)}. Write a time as 2026-07-05T10:28, in "
            "UTC."
        )
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def position_in(visit: Visit, *, scope: str, of: Callable[..., P]) -> P | None:
    """
    The position in the list *scope* at which the page begins; None for the first page.

    *of* makes it of the parts that the cursor has, and raises ValueError or TypeError if it cannot.

    Raises:
        InvalidCursor: the cursor is none of this list.
    """
    cursor = visit.query.get("cursor", "")
    if not cursor:
        return None
    with suppress(CursorInvalid, ValueError, TypeError):
        return of(*decode_cursor(cursor, scope=scope))
    raise InvalidCursor(
        "The address is that of a page of another list, or was changed. Begin with the first page."
    )


def number_below(value: object, most: int) -> int:
    """
    *value* of a cursor as a number of 0 to *most*.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError
    return value


def as_field(instant: datetime | None) -> str:
    """*instant* as the field of a form for a time shows it, in UTC."""
    if instant is None:
        return ""
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="seconds" if utc.second else "minutes")


def _quoted(value: str) -> str:
    is_long = len(value) > _QUOTED_CHARACTERS
    shown = "".join(filter(str.isprintable, value[:_QUOTED_CHARACTERS]))
    return f"“{shown}{'…' if is_long else ''}”"
