"""Which bodies a person wants to see: the fields of the form, and the position in the list."""

from collections.abc import Mapping
from typing import Final

from app.db.quarantine import QuarantineFilter
from app.domain.quarantine import CallbackPath, Reason
from app.errors import InvalidCursor
from app.kit.cursor import encode_cursor
from app.web.fields import MAX_ROW_ID, NO_SUCH_PAGE, instant_in, position_in, word_in

#: As they stand in the URL.
FIELDS: Final = ("reason", "since", "before", "path")


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
    reason = word_in(Reason, fields["reason"], "reason")
    return QuarantineFilter(
        () if reason is None else (reason,),
        instant_in(fields["since"]),
        instant_in(fields["before"]),
        word_in(CallbackPath, fields["path"], "callback URL"),
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
    match position_in(cursor, scope=_scope(wanted)):
        case None:
            return None
        case [int(position)] if 0 <= position <= MAX_ROW_ID:
            return position
    raise InvalidCursor(NO_SUCH_PAGE)


def _scope(wanted: QuarantineFilter) -> str:
    return f"page of the quarantine {wanted}"
