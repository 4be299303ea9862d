"""Rolling up stored events for the BI views, in one process at a time, off the callback path."""

from typing import Final

from sqlalchemy import text

from app.db.bi.roll_up_statement import roll_up
from app.db.database import Database

#: An advisory lock. Any number that no other program in the same database uses.
ROLL_UP_LOCK: Final = 7_021_007
#: With settings for the transaction. The planner expects a third of all events beyond the position,
#: where there are few: it would read whole tables, or sort that third for the first thousands.
_LOCK: Final = """
SELECT pg_try_advisory_xact_lock(:lock),
    set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)
"""
_IS_PENDING: Final = "SELECT bi_is_pending()"
#: Keeps one transaction short, as a writing transaction holds the feed back; and within the limit
#: on statements where each message has to be fetched from a slow disk.
MAX_EVENTS: Final = 2_500
#: Keeps a backlog of events from taking a whole processor.
MAX_CHUNKS: Final = 40


async def roll_up_events(database: Database) -> int:
    """Roll up pending events, at most `MAX_CHUNKS` times `MAX_EVENTS`; how many."""
    async with database.driver() as connection:
        if not await connection.fetchval(_IS_PENDING):
            return 0
    rolled_up = 0
    for _ in range(MAX_CHUNKS):
        chunk = await roll_up_chunk(database)
        rolled_up += chunk
        if chunk < MAX_EVENTS:
            break
    return rolled_up


async def roll_up_chunk(database: Database) -> int:
    """Roll up at most `MAX_EVENTS` in one transaction. 0 also while another process does so."""
    async with database.writing() as session:
        if not await session.scalar(text(_LOCK), {"lock": ROLL_UP_LOCK}):
            return 0
        return int((await session.execute(text(roll_up(MAX_EVENTS)))).scalar_one())
