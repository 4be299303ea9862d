"""
The record of erasures, and what ends each of them: new statistics.

PostgreSQL keeps samples of the values of each column to plan with. They may contain the number.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.database import Database

_BEGIN: Final = text("""
INSERT INTO erasures (kind, asked_by) VALUES (:kind, :asked_by) RETURNING id, began_at
""")
_END: Final = text("""
UPDATE erasures SET ended_at = now(), counts = CAST(:counts AS jsonb) WHERE id = :id
RETURNING ended_at
""")
_UNSAMPLED: Final = text("""
SELECT EXISTS (
    SELECT FROM erasures WHERE kind = 'erase' AND sampled_at IS NULL AND id <> :id
)
""")
_NOTE_SAMPLED: Final = text("""
UPDATE erasures SET sampled_at = now() WHERE kind = 'erase' AND sampled_at IS NULL
""")
#: A running autovacuum is asked to give way after a second.
_PATIENCE: Final = text("SET LOCAL lock_timeout = '15s'")
_TABLES_WITH_ROWS: Final = text("""
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


async def begin_erasure(database: Database, *, kind: str, asked_by: str) -> tuple[UUID, datetime]:
    """Record that an erasure was asked for; its id, and when."""
    async with database.writing() as session:
        row = (await session.execute(_BEGIN, {"kind": kind, "asked_by": asked_by})).one()
        return row[0], row[1]


async def end_erasure(database: Database, erasure: UUID, counts: Mapping[str, int]) -> datetime:
    """Record that an erasure is done, and how many rows it changed; when."""
    async with database.writing() as session:
        given = {"id": erasure, "counts": json.dumps(dict(counts))}
        ended: datetime = (await session.execute(_END, given)).scalar_one()
        return ended


async def is_sampled(database: Database, erasure: UUID) -> bool:
    """Whether tables were sampled again after all erasures but *erasure*."""
    async with database.reading() as session:
        return not await session.scalar(_UNSAMPLED, {"id": erasure})


async def note_sampled(database: Database) -> None:
    """Record that tables were sampled again after all erasures until now."""
    async with database.writing() as session:
        await session.execute(_NOTE_SAMPLED)


async def tables_with_rows(database: Database) -> frozenset[str]:
    """All tables and partitions that are not empty."""
    async with database.reading() as session:
        return frozenset(await session.scalars(_TABLES_WITH_ROWS))


async def sample_anew(database: Database, tables: Collection[str]) -> None:
    """
    Have PostgreSQL sample *tables*, and the tables that they are partitions of, again.

    Raises:
        DatabaseUnavailable: a table was locked for too long.
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
