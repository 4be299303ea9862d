"""The samples of values that PostgreSQL keeps of each column, so that it can plan."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import text

from app.db.database import Database

#: An autovacuum at work is asked to give way after a second.
_PATIENCE: Final = text("SET LOCAL lock_timeout = '15s'")
_ALL: Final = text("""
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = CAST(current_schema() AS regnamespace)
    AND pg_relation_size(oid) > 0
ORDER BY relname
""")
_IS_SAMPLED: Final = text("""
SELECT EXISTS (
    SELECT FROM pg_stats WHERE schemaname = current_schema() AND tablename = 'events'
)
""")


async def tables_with_rows(database: Database) -> frozenset[str]:
    """All tables, and partitions of such, that are not empty."""
    async with database.reading() as session:
        return frozenset(await session.scalars(_ALL))


async def sample_anew(database: Database, tables: Collection[str]) -> None:
    """
    Have PostgreSQL sample *tables*, and what they are partitions of, again.

    What it had sampled may have numbers in it that are in the tables no more, in payloads as well.

    Raises:
        DatabaseUnavailable: somebody has held a table for too long.
    """
    for table in sorted(tables):
        await _sample(database, f'"{table}"')
    if any(table.startswith("events_") for table in tables) and await _is_parent_sampled(database):
        await _sample(database, "ONLY events")


async def _is_parent_sampled(database: Database) -> bool:
    async with database.reading() as session:
        return bool(await session.scalar(_IS_SAMPLED))


async def _sample(database: Database, table: str) -> None:
    async with database.writing() as session:
        await session.execute(_PATIENCE)
        await session.execute(text(f"ANALYZE {table}"))
