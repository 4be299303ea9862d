"""Connections for long work that must get in nobody's way, and for one process at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database

#: Whoever waits for a lock holds up those who come later.
_SETTINGS: Final = {
    "lock_timeout": "200ms",
    # Plans for chunks of partitioned tables: one index step for each row, never a whole table, and
    # never all of a partition up to a mark, sorted for the first thousand.
    **{
        f"enable_{way}": "off" for way in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin")
    },
    "plan_cache_mode": "force_custom_plan",
}
_WHOLE_TABLES: Final = text("""
SELECT set_config('enable_' || name, 'on', true)
FROM unnest(array['seqscan', 'bitmapscan', 'sort', 'hashjoin', 'mergejoin']) AS given(name)
""")
_STATEMENT_SECONDS: Final = 3600.0
_TRY: Final = "SELECT pg_try_advisory_lock($1)"
_UNLOCK: Final = "SELECT pg_advisory_unlock($1)"


@asynccontextmanager
async def sweeping(url: str, *, name: str) -> AsyncIterator[Database]:
    """A database for long work, on connections that end with the block."""
    database = Database(
        url,
        name=name,
        pool_items=2,
        session_settings=_SETTINGS,
        statement_timeout_seconds=_STATEMENT_SECONDS,
    )
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def reading_whole_tables(database: Database) -> AsyncIterator[AsyncSession]:
    """A session for queries that have to read whole tables, planned for that."""
    async with database.writing() as session:  # the settings are those of a transaction
        await session.execute(_WHOLE_TABLES)
        yield session


@asynccontextmanager
async def alone(database: Database, lock: int) -> AsyncIterator[bool]:
    """Whether nobody else is at the work of *lock*; nobody gets to it while the block runs."""
    async with database.driver() as connection:
        is_ours = bool(await connection.fetchval(_TRY, lock))
        try:
            yield is_ours
        finally:
            if is_ours and not connection.is_closed():
                await connection.execute(_UNLOCK, lock)
