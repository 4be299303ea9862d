"""Which recipients are erased."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final, NamedTuple

import asyncpg
from sqlalchemy import text

from app.db.database import Database
from app.db.failures import translating
from app.domain.erasure import NumberHash
from app.domain.retention import Horizons


class Erased(NamedTuple):
    """All erased recipients, and the horizons of what may have been removed, as of a version."""

    version: int
    hashes: frozenset[bytes]
    #: Of the keys that the hashes were made with.
    key_ids: frozenset[bytes]
    horizons: Horizons = Horizons()


_VERSION: Final = "SELECT version FROM erasure_state"
_ALL: Final = """
SELECT version, hashes, key_ids,
    (SELECT reached_at FROM retention_positions WHERE name = 'removed events'),
    (SELECT reached_at FROM retention_positions WHERE name = 'removed inbound')
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


@translating
async def read_erased(connection: asyncpg.Connection, known_version: int | None) -> Erased | None:
    """All erased recipients as of now; None if nothing has changed since *known_version*."""
    if await connection.fetchval(_VERSION) == known_version:
        return None
    row = await connection.fetchrow(_ALL)
    version, hashes, key_ids, *horizons = row or (0, None, None)
    return Erased(version, frozenset(hashes or ()), frozenset(key_ids or ()), Horizons(*horizons))


async def lacking_keys(database: Database, known: Collection[bytes]) -> frozenset[bytes]:
    """The ids of keys that recipients were erased with, without those that are *known*."""
    async with database.driver() as connection:
        erased = await read_erased(connection, None)
    return frozenset() if erased is None else erased.key_ids - frozenset(known)


async def find_erased(database: Database, hashes: Collection[bytes]) -> bytes | None:
    """The one of *hashes* that is erased, if any."""
    async with database.reading() as session:
        found: bytes | None = await session.scalar(_FIND, {"hashes": list(hashes)})
        return found


async def add_erased(database: Database, number_hash: NumberHash) -> timedelta:
    """Make sure that a recipient is erased from now on; for how long it has been erased."""
    async with database.writing() as session:
        # Before the row, so that a reader of the new version does not miss it.
        await session.execute(_NEXT_VERSION)
        await session.execute(_ADD, {"hash": number_hash.hash, "key_id": number_hash.key_id})
        age: timedelta = (await session.execute(_AGE, {"hash": number_hash.hash})).scalar_one()
        return age


async def remove_erased(database: Database, hashes: Collection[bytes]) -> int:
    """Stop erasing a recipient; how many hashes it had."""
    async with database.writing() as session:
        await session.execute(_NEXT_VERSION)
        return len((await session.execute(_REMOVE, {"hashes": list(hashes)})).all())
