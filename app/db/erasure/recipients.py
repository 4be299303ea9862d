"""Who is erased, and who asked for it."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.db.database import Database
from app.domain.erasure import Mark
from app.domain.retention import Horizons


class Erased(NamedTuple):
    """Everybody who is erased, and what may have been removed, as of a version."""

    version: int
    hashes: frozenset[bytes]
    #: Of the keys that the hashes were made with.
    key_ids: frozenset[bytes]
    horizons: Horizons = Horizons()


_VERSION: Final = "SELECT version FROM erasure_state"
_ALL: Final = """
SELECT version, hashes, key_ids,
    (SELECT reached_at FROM retention_marks WHERE name = 'removed events'),
    (SELECT reached_at FROM retention_marks WHERE name = 'removed inbound')
FROM erasure_state, (
    SELECT array_agg(hash) AS hashes, array_agg(DISTINCT key_id) AS key_ids FROM erased_recipients
) AS erased
"""
_ADD: Final = text("""
INSERT INTO erased_recipients (hash, key_id) VALUES (:hash, :key_id)
ON CONFLICT (hash) DO NOTHING
""")
_AGE: Final = text("SELECT now() - erased_at FROM erased_recipients WHERE hash = :hash")
_FIND: Final = text("SELECT hash FROM erased_recipients WHERE hash = ANY(CAST(:hashes AS bytea[]))")
_REMOVE: Final = text("""
DELETE FROM erased_recipients WHERE hash = ANY(CAST(:hashes AS bytea[])) RETURNING 1
""")
_NEXT_VERSION: Final = text("UPDATE erasure_state SET version = version + 1")
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


async def read_erased(connection: asyncpg.Connection, known_version: int | None) -> Erased | None:
    """The same as of now; None when that is as it was in *known_version*."""
    if await connection.fetchval(_VERSION) == known_version:
        return None
    row = await connection.fetchrow(_ALL)
    version, hashes, key_ids, *horizons = row or (0, None, None)
    return Erased(version, frozenset(hashes or ()), frozenset(key_ids or ()), Horizons(*horizons))


async def lacking_keys(database: Database, known: Collection[bytes]) -> frozenset[bytes]:
    """The ids of the keys with which somebody was erased and that are not *known*."""
    async with database.driver() as connection:
        erased = await read_erased(connection, None)
    return frozenset() if erased is None else erased.key_ids - frozenset(known)


async def find_erased(database: Database, hashes: Collection[bytes]) -> bytes | None:
    """The one of *hashes* that is erased, if any."""
    async with database.reading() as session:
        found: bytes | None = await session.scalar(_FIND, {"hashes": list(hashes)})
        return found


async def add_erased(database: Database, mark: Mark) -> timedelta:
    """Make sure that a recipient is erased from now on; for how long it has been."""
    async with database.writing() as session:
        # Before the row, so that no reader of the new version misses it.
        await session.execute(_NEXT_VERSION)
        await session.execute(_ADD, {"hash": mark.hash, "key_id": mark.key_id})
        age: timedelta = (await session.execute(_AGE, {"hash": mark.hash})).scalar_one()
        return age


async def remove_erased(database: Database, hashes: Collection[bytes]) -> int:
    """Let a recipient be known again; how many hashes that were."""
    async with database.writing() as session:
        await session.execute(_NEXT_VERSION)
        return len((await session.execute(_REMOVE, {"hashes": list(hashes)})).all())


async def begin_erasure(database: Database, *, kind: str, asked_by: str) -> tuple[UUID, datetime]:
    """Put on record that somebody asks for it: its id, and when."""
    async with database.writing() as session:
        row = (await session.execute(_BEGIN, {"kind": kind, "asked_by": asked_by})).one()
        return row[0], row[1]


async def end_erasure(database: Database, erasure: UUID, counts: Mapping[str, int]) -> datetime:
    """Put on record that it is done, and how many rows it changed; when."""
    async with database.writing() as session:
        given = {"id": erasure, "counts": json.dumps(dict(counts))}
        ended: datetime = (await session.execute(_END, given)).scalar_one()
        return ended


async def is_sampled(database: Database, erasure: UUID) -> bool:
    """Whether all erasures but *erasure* came to their very end; see `erasures.sampled_at`."""
    async with database.reading() as session:
        return not await session.scalar(_UNSAMPLED, {"id": erasure})


async def note_sampled(database: Database) -> None:
    """PostgreSQL has no samples any more of what was changed until now."""
    async with database.writing() as session:
        await session.execute(_NOTE_SAMPLED)
