"""What many events have in common: forms in which a number is quoted."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text

from app.db.database import Database
from app.db.erasure.messages import Replacement

WALK_ITEMS: Final = 500
_TEXTS: Final = ("provider_status", "detailed_status", "description", "sender", "country", "label")
_WALK: Final = text(f"""
SELECT id, concat_ws(' ', {", ".join(_TEXTS)}), skeleton FROM event_forms
WHERE id > :after ORDER BY id LIMIT {WALK_ITEMS}
""")
_REDACT: Final = text(
    "UPDATE event_forms SET skeleton = NULL, "
    + ", ".join(
        f"{column} = regexp_replace({column}, :pattern, :pseudonym, 'g')" for column in _TEXTS
    )
    + " WHERE id = :id"
)
_FIRST: Final = -(2**63)


class StoredForm(NamedTuple):
    """What is searched of a form."""

    id: int
    texts: str
    skeleton: str | None


async def walked_forms(database: Database, after: int | None) -> Sequence[StoredForm]:
    """The next forms; none at the end."""
    async with database.reading() as session:
        rows = await session.execute(_WALK, {"after": _FIRST if after is None else after})
        return [StoredForm(*row) for row in rows]


async def redact_form(database: Database, form: StoredForm, wanted: Replacement) -> None:
    """
    Take the number out of *form*, and the payloads of its events with it.

    It is not used for an event any more: what comes with the number later stays with the event.
    """
    async with database.writing() as session:
        await session.execute(_REDACT, {"id": form.id, **wanted._asdict()})
