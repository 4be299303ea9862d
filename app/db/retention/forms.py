"""Removing forms when the last event is gone, or the last payload, that could be of them."""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from app.db.database import Database

#: The clock of the process that chose the month may differ from that of the database.
_IS_OVER: Final = "month + interval '1 month 1 day' <= CAST(:before AS timestamptz)"
_CLEAR: Final = text(f"""
UPDATE event_forms SET skeleton = NULL WHERE skeleton IS NOT NULL AND {_IS_OVER} RETURNING id
""")
#: The first that is left, in the order of the feed, is about the first that was received.
_DELETE: Final = text(f"""
DELETE FROM event_forms WHERE {_IS_OVER} AND month + interval '1 month 1 day' <= coalesce(
    (SELECT received_at FROM packed_events ORDER BY feed_epoch, xid, id LIMIT 1), 'infinity'
)
RETURNING id
""")


async def clear_forms(database: Database, *, before: datetime) -> int:
    """Forget the skeletons of the months of which every payload received *before* is gone."""
    async with database.writing() as session:
        return len((await session.scalars(_CLEAR, {"before": before})).all())


async def remove_forms(database: Database, *, before: datetime) -> int:
    """Remove the forms of months of which no event received *before* is left; how many."""
    async with database.writing() as session:
        return len((await session.scalars(_DELETE, {"before": before})).all())
