"""Which bodies a person wants to see: the fields of the form, and the position in the list."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from app.db.quarantine import QuarantineFilter
from app.domain.quarantine import CallbackPath, Reason
from app.errors import InvalidCursor, InvalidRequest
from app.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from app.kit.instants import parse_instant

W = TypeVar("W", bound=StrEnum)

#: As they stand in the URL.
FIELDS: Final = ("reason", "since", "before", "path")
MAX_ROW_ID: Final = 2**63 - 1


def fields_of(given: Mapping[str, str]) -> dict[str, str]:
    """The fields of the filter in *given*; those that lack are empty."""
    return {name: given.get(name, "") for name in FIELDS}


def wanted_of(given: Mapping[str, str]) -> QuarantineFilter:
    """
    The filter in *given*, a query or a form.

    Raises:
        InvalidRequest: a field has what the form does not offer.
    """
    fields = fields_of(given)
    reason = _word(Reason, fields["reason"], "reason")
    return QuarantineFilter(
        () if reason is None else (reason,),
        _instant(fields["since"]),
        _instant(fields["before"]),
        _word(CallbackPath, fields["path"], "callback URL"),
    )


def cursor_beyond(body_id: int | None, wanted: QuarantineFilter) -> str | None:
    """The cursor of the page beyond that body; None if there is none."""
    return None if body_id is None else encode_cursor([body_id], scope=_scope(wanted))


def position_of(cursor: str, wanted: QuarantineFilter) -> int | None:
    """
    The id beyond which the list goes on; None at its beginning.

    Raises:
        InvalidCursor: it is none of this list.
    """
    if not cursor:
        return None
    with suppress(CursorInvalid):
        match decode_cursor(cursor, scope=_scope(wanted)):
            case [int(position)] if 0 <= position <= MAX_ROW_ID:
                return position
    raise InvalidCursor("The address is of a page of another list. Begin at the list's first page.")


def _scope(wanted: QuarantineFilter) -> str:
    return f"page of the quarantine {wanted}"


def _word(words: type[W], given: str, field: str) -> W | None:
    if not given:
        return None
    with suppress(ValueError):
        return words(given)
    raise InvalidRequest(f"No {field} is called {given!r}. Choose one in the form above the list.")


def _instant(given: str) -> datetime | None:
    if not given:
        return None
    instant = parse_instant(given)
    if instant is None:
        raise InvalidRequest(f"{given!r} is no time. Write one as 2026-07-05T10:28, in UTC.")
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
