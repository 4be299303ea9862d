"""Removing what was set aside."""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from app.db.database import Database

#: Bodies may be large.
CHUNK_ITEMS: Final = 200

_DELETE: Final = text("""
WITH old AS (
    SELECT id FROM quarantine WHERE last_received_at < :before
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
)
DELETE FROM quarantine WHERE id IN (SELECT id FROM old) RETURNING 1
""")


async def remove_quarantined(database: Database, *, before: datetime) -> int:
    """Remove some bodies that last came *before*; how many."""
    async with database.writing() as session:
        given = {"before": before, "most": CHUNK_ITEMS}
        return len((await session.execute(_DELETE, given)).all())
