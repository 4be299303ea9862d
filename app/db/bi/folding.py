"""Folding what was stored into the roll-ups, by one process at a time, behind the callback path."""

from typing import Final

from sqlalchemy import text

from app.db.bi.fold_statement import FOLD
from app.db.database import Database

#: Any number, as long as no other program in the same database uses it.
_FOLD_LOCK: Final = 7_021_007
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(:lock)"
#: The planner takes a third of all events for the few beyond the place, and would read them all;
#: so it would all messages for the few that are touched.
_SETTINGS: Final = """
SELECT set_config('enable_' || name, 'off', true)
FROM unnest(array['seqscan', 'bitmapscan', 'sort', 'hashjoin', 'mergejoin']) AS given(name)
"""
#: So that one fold stays short, as a transaction that writes holds the feed back; and within the
#: limit on statements where each message has to be fetched from a slow disk.
MAX_EVENTS: Final = 2_500
#: So that what was stored before there were roll-ups does not take a whole processor.
MAX_CHUNKS: Final = 40


async def fold_events(database: Database) -> int:
    """Fold what waits, `MAX_CHUNKS` times `MAX_EVENTS` at most; how much."""
    folded = 0
    for _ in range(MAX_CHUNKS):
        chunk = await fold_chunk(database)
        folded += chunk
        if chunk < MAX_EVENTS:
            break
    return folded


async def fold_chunk(database: Database) -> int:
    """Fold at most `MAX_EVENTS` in one transaction. 0 also while another process is at it."""
    async with database.writing() as session:
        if not await session.scalar(text(_LOCK), {"lock": _FOLD_LOCK}):
            return 0
        await session.execute(text(_SETTINGS))
        return int((await session.execute(text(FOLD), {"most": MAX_EVENTS})).scalar_one())
