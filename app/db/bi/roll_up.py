"""Rolling up stored events for the BI views, in one process at a time, off the callback path."""

from typing import Final

from sqlalchemy import text

from app.db.bi.roll_up_statement import ROLL_UP
from app.db.database import Database

#: An advisory lock. Any number that no other program in the same database uses.
ROLL_UP_LOCK: Final = 7_021_007
_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(:lock)")
#: Set for the transaction. The planner expects a third of all events beyond the position, where
#: there are few, and would read whole tables, also those of the messages.
_SETTINGS: Final = text("""
SELECT set_config('enable_' || name, 'off', true)
FROM unnest(array['seqscan', 'bitmapscan', 'sort', 'hashjoin', 'mergejoin']) AS given(name)
""")
_IS_PENDING: Final = "SELECT bi_is_pending()"
_ROLL_UP: Final = text(ROLL_UP)
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
        if not await session.scalar(_LOCK, {"lock": ROLL_UP_LOCK}):
            return 0
        await session.execute(_SETTINGS)
        return int((await session.execute(_ROLL_UP, {"most": MAX_EVENTS})).scalar_one())
