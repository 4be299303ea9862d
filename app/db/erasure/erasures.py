"""
The erasures that were asked for, and what ends each of them: new statistics.

PostgreSQL keeps samples of the values of each column to plan with. They may contain the number.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.db.database import Database


class AskedErasure(NamedTuple):
    """An erasure that was asked for."""

    id: UUID
    #: The number; None once the erasure has ended.
    digits: str | None
    #: Whether the recipient had been erased before.
    was_erased: bool
    asked_at: datetime
    #: None while it waits.
    began_at: datetime | None
    #: None while it waits or runs.
    ended_at: datetime | None
    #: A sentence, while it runs.
    progress: str | None
    #: How many rows of each table it has changed so far.
    counts: dict[str, int]


_COLUMNS: Final = "id, digits, was_erased, asked_at, began_at, ended_at, progress, counts"
#: Asked for twice, it is one erasure.
_ASK: Final = text("""
INSERT INTO erasures AS e (kind, asked_by, digits, was_erased)
VALUES ('erase', :asked_by, :digits, :was_erased)
ON CONFLICT (digits) WHERE digits IS NOT NULL DO UPDATE SET digits = e.digits
RETURNING id
""")
_FIND: Final = text(f"SELECT {_COLUMNS} FROM erasures WHERE id = :id AND kind = 'erase'")
_NEXT: Final = text(f"""
SELECT {_COLUMNS} FROM erasures WHERE digits IS NOT NULL ORDER BY asked_at, id LIMIT 1
""")
_BEGIN: Final = text("UPDATE erasures SET began_at = now() WHERE id = :id AND began_at IS NULL")
_NOTE: Final = text("""
UPDATE erasures SET progress = :progress, counts = CAST(:counts AS jsonb)
WHERE id = :id AND ended_at IS NULL
""")
_END: Final = text("""
UPDATE erasures
SET ended_at = now(), digits = NULL, progress = NULL, counts = CAST(:counts AS jsonb)
WHERE id = :id
""")
_ANNOUNCE_ERASED: Final = text("""
INSERT INTO notices (type, data)
VALUES ('recipient.erased', jsonb_build_object(
    'erasureId', CAST(:id AS text),
    'recipientKey', CAST(:recipient_key AS text),
    'earlierRecipientKeys', to_jsonb(CAST(:earlier_keys AS text[]))
))
""")
_LIFTED: Final = text("""
INSERT INTO erasures (kind, asked_by, began_at, ended_at, counts)
VALUES ('lift', :asked_by, now(), now(), CAST(:counts AS jsonb))
""")
_UNSAMPLED: Final = text("""
SELECT EXISTS (
    SELECT FROM erasures
    WHERE kind = 'erase' AND began_at IS NOT NULL AND sampled_at IS NULL AND id <> :id
)
""")
_NOTE_SAMPLED: Final = text("""
UPDATE erasures SET sampled_at = now()
WHERE kind = 'erase' AND began_at IS NOT NULL AND sampled_at IS NULL
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


async def ask_for_erasure(
    database: Database, digits: str, *, asked_by: str, was_erased: bool
) -> UUID:
    """Store that *digits* are to be erased; the id of the erasure, perhaps of one asked before."""
    given = {"digits": digits, "asked_by": asked_by, "was_erased": was_erased}
    async with database.writing() as session:
        asked: UUID = (await session.execute(_ASK, given)).scalar_one()
        return asked


async def find_erasure(database: Database, erasure: UUID) -> AskedErasure | None:
    """The erasure of that id."""
    async with database.reading() as session:
        row = (await session.execute(_FIND, {"id": erasure})).one_or_none()
    return None if row is None else AskedErasure(*row)


async def next_erasure(database: Database) -> AskedErasure | None:
    """The erasure that is to be done next, or that was interrupted; None if all are done."""
    async with database.reading() as session:
        row = (await session.execute(_NEXT)).one_or_none()
    return None if row is None else AskedErasure(*row)


async def begin_erasure(database: Database, erasure: UUID) -> None:
    """Record that an erasure runs, unless it had begun before."""
    async with database.writing() as session:
        await session.execute(_BEGIN, {"id": erasure})


async def note_progress(
    database: Database, erasure: UUID, progress: str, counts: Mapping[str, int]
) -> None:
    """Record how far an erasure is."""
    given = {"id": erasure, "progress": progress, "counts": json.dumps(dict(counts))}
    async with database.writing() as session:
        await session.execute(_NOTE, given)


async def end_erasure(
    database: Database, erasure: UUID, counts: Mapping[str, int], *, recipient_keys: Sequence[str]
) -> None:
    """
    Record that an erasure is done, and how many rows it changed; the number is forgotten.

    The feed announces it by *recipient_keys*, that of the current key first.
    """
    current, *earlier = recipient_keys
    announced = {"id": str(erasure), "recipient_key": current, "earlier_keys": earlier}
    async with database.writing_feed() as session:
        await session.execute(_END, {"id": erasure, "counts": json.dumps(dict(counts))})
        await session.execute(_ANNOUNCE_ERASED, announced)


async def note_lift(database: Database, *, asked_by: str, lifted: int) -> None:
    """Record that an erasure was lifted."""
    given = {"asked_by": asked_by, "counts": json.dumps({"erased_recipients": lifted})}
    async with database.writing() as session:
        await session.execute(_LIFTED, given)


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
