"""Removing messages that have no events any more. Counts of campaigns stay as they are."""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from app.db.database import Database

#: Of 8 KiB, about 30 messages each.
BLOCKS: Final = 32

_SIZE: Final = text("SELECT pg_relation_size('messages') / current_setting('block_size')::bigint")
#: In the one order of message rows. The locks come first: a callback that commits meanwhile, with
#: an event that changes nothing of the message, is seen by the second statement only.
_LOCK: Final = text("""
SELECT message_tracking_id FROM messages
WHERE ctid >= CAST(:first AS tid) AND ctid < CAST(:beyond AS tid) AND updated_at < :before
ORDER BY message_tracking_id COLLATE "C"
FOR UPDATE SKIP LOCKED
""")
_DELETE: Final = text("""
DELETE FROM messages m
WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
    AND NOT EXISTS (SELECT FROM events e WHERE e.message_tracking_id = m.message_tracking_id)
RETURNING message_tracking_id
""")
#: What was counted of them for analysts stays counted; this only told how to count them anew.
_UNCOUNT: Final = text("""
DELETE FROM bi_counted_messages WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
""")


async def blocks_of_messages(database: Database) -> int:
    """How many blocks the table has: reading it block by block needs no index that would cost."""
    async with database.reading() as session:
        return int((await session.execute(_SIZE)).scalar_one())


async def remove_messages(database: Database, *, first_block: int, before: datetime) -> int:
    """Remove those of `BLOCKS` blocks that were last changed *before*; how many."""
    where = {"first": (first_block, 0), "beyond": (first_block + BLOCKS, 0), "before": before}
    async with database.writing() as session:
        ids = (await session.scalars(_LOCK, where)).all()
        if not ids:
            return 0
        gone = (await session.scalars(_DELETE, {"ids": list(ids)})).all()
        await session.execute(_UNCOUNT, {"ids": list(gone)})
        return len(gone)
