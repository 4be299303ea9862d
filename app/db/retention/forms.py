"""Removing forms when the last event is gone, or the last payload, that could be of them."""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from app.db.database import Database
from app.db.forms import END_OF_USE
from app.db.retention.connections import reading_whole_tables

#: All events that name it were received before; and nobody is about to store another.
IS_OVER: Final = f"""
{END_OF_USE} < least(CAST(:before AS timestamptz), now() - interval '1 hour')
"""
_CLEAR: Final = text(f"""
UPDATE event_forms SET skeleton = NULL WHERE skeleton IS NOT NULL AND {IS_OVER} RETURNING id
""")
#: An event that others hold, or that the clock of another server has dated, may be left behind.
_UNNAMED: Final = text(f"""
SELECT id FROM event_forms AS f
WHERE {IS_OVER} AND NOT EXISTS (SELECT FROM packed_events AS e WHERE e.form_id = f.id)
""")
_DELETE: Final = text("DELETE FROM event_forms WHERE id = ANY(CAST(:ids AS bigint[]))")


async def clear_forms(database: Database, *, before: datetime) -> int:
    """Forget the skeletons of the months of which every payload received *before* is gone."""
    async with database.writing() as session:
        return len((await session.scalars(_CLEAR, {"before": before})).all())


async def remove_forms(database: Database, *, before: datetime) -> int:
    """
    Remove the forms of months received *before* that no event names any more; how many.

    All events are read for that, unless there is no such month: that is about once a month.
    """
    async with reading_whole_tables(database) as session:
        ids = (await session.scalars(_UNNAMED, {"before": before})).all()
    if ids:
        async with database.writing() as session:
            await session.execute(_DELETE, {"ids": list(ids)})
    return len(ids)
