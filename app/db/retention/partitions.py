"""
The partitions of the events, by month: added ahead of time, emptied when all of a month is too old.

A month is emptied by TRUNCATE and stays. Detaching it would take two transactions, and only one of
them could raise the floor of the feed. Between them, or without a replacement, an event of that
month could not be stored.
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.failures import translated
from app.db.feed.positions import raise_floor
from app.db.retention.runs import CHUNK_PLANNER
from app.domain.feed import Position

_MONTH: Final = re.compile(r"events_(\d{4})_(\d{2})")
_LAST: Final = "events_after"
_AHEAD_MONTHS: Final = 12
_MONTHS_A_YEAR: Final = 12

_PARTITIONS: Final = text("""
SELECT c.relname, pg_total_relation_size(c.oid) AS bytes
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'events'::regclass AND pg_relation_size(c.oid) > 0
ORDER BY c.relname
""")
#: By the end of an index: while it is locked, a month must not be scanned.
_GREATEST: Final = (
    "SELECT feed_epoch, xid, id FROM {month} ORDER BY feed_epoch DESC, xid DESC, id DESC LIMIT 1"
)
_HAS_YOUNGER: Final = "SELECT EXISTS (SELECT FROM {month} WHERE received_at >= :before)"
_COUNT: Final = "SELECT count(*) FROM {month}"
#: Callbacks of a month that old are quarantined, so that only readers can be kept waiting.
_LOCK: Final = "LOCK TABLE {month} IN ACCESS EXCLUSIVE MODE"
_TRUNCATE: Final = "TRUNCATE {month}"
_NOTE_MONTH: Final = text("""
INSERT INTO removed_event_months (month) VALUES (CAST(CAST(:month AS text) AS date))
ON CONFLICT DO NOTHING
""")
#: An exclusive lock of all events that has to wait makes callbacks queue behind it.
_GIVE_UP_SOON: Final = "SET LOCAL lock_timeout = '200ms'"


class EmptiedMonth(NamedTuple):
    """A month that was, or would be, emptied."""

    name: str
    rows: int
    bytes: int


async def empty_old_months(
    database: Database, *, before: datetime, upto: Position, dry_run: bool = False
) -> list[EmptiedMonth]:
    """
    Empty the months of which every event was received *before*, and lies before *upto*.

    Raises:
        DatabaseUnavailable: one of them is being read; those before it are done.
    """
    emptied = []
    for name, size in await _stored_months(database):
        if _end_of(name) > before or not await _is_old(database, name, before, upto):
            continue
        rows = await _rows_of(database, name)
        if dry_run or await _emptied(database, name, upto):
            emptied.append(EmptiedMonth(name, rows, size))
    return emptied


async def add_months(database: Database, *, now: datetime) -> list[str]:
    """
    Make the missing partitions of the months to come; their names.

    What was stored for them in the range after all others moves there. All of it is one transaction
    that locks the events for milliseconds: only callbacks with wrong times are so far ahead.

    Raises:
        DatabaseUnavailable: the events are being read for so long that callbacks would have to
            wait. Nothing was changed.
    """
    async with database.driver() as connection:
        last = await connection.fetchval(
            "SELECT max(inhrelid::regclass::text) FROM pg_inherits"
            " WHERE inhparent = 'events'::regclass AND inhrelid::regclass::text ~ '_[0-9]{4}_'"
        )
        missing = _missing(last, now)
        if missing:
            with translated():
                await _attach(connection, missing)
    return [_name(number) for number in missing]


async def _stored_months(database: Database) -> list[tuple[str, int]]:
    async with database.reading() as session:
        rows = (await session.execute(_PARTITIONS)).all()
    return [(name, size) for name, size in rows if _MONTH.fullmatch(name)]


async def _is_old(database: Database, name: str, before: datetime, upto: Position) -> bool:
    async with database.reading() as session:
        greatest = await _greatest(session, name)
        if greatest is not None and greatest > upto:
            return False
        return not await session.scalar(text(_HAS_YOUNGER.format(month=name)), {"before": before})


async def _rows_of(database: Database, name: str) -> int:
    async with database.reading() as session:
        return int((await session.execute(text(_COUNT.format(month=name)))).scalar_one())


async def _emptied(database: Database, name: str, upto: Position) -> bool:
    async with database.writing(planner=CHUNK_PLANNER) as session:
        await session.execute(text(_LOCK.format(month=name)))
        greatest = await _greatest(session, name)
        if greatest is not None:
            if greatest > upto:  # something came meanwhile
                return False
            await raise_floor(session, greatest)
        await session.execute(_NOTE_MONTH, {"month": _first(_number(name))})
        await session.execute(text(_TRUNCATE.format(month=name)))
        return True


async def _greatest(session: AsyncSession, name: str) -> Position | None:
    row = (await session.execute(text(_GREATEST.format(month=name)))).one_or_none()
    return None if row is None else Position._make(row)


async def _attach(connection: asyncpg.Connection, months: range) -> None:
    end = _first(months.stop)
    async with connection.transaction():
        await connection.execute(_GIVE_UP_SOON)
        await connection.execute(f"ALTER TABLE events DETACH PARTITION {_LAST}")
        for number in months:
            await connection.execute(
                f"CREATE TABLE {_name(number)} PARTITION OF events "
                f"FOR VALUES FROM ('{_first(number)}Z') TO ('{_first(number + 1)}Z')"
            )
        await connection.execute(
            f"WITH moved AS (DELETE FROM {_LAST} WHERE occurred_at < '{end}Z' RETURNING *)"
            " INSERT INTO events SELECT * FROM moved"
        )
        await connection.execute(
            f"ALTER TABLE events ATTACH PARTITION {_LAST} FOR VALUES FROM ('{end}Z') TO (MAXVALUE)"
        )


def _missing(last: str, now: datetime) -> range:
    """The months, counted from the year 0, that come after *last* and must be there."""
    return range(_number(last) + 1, now.year * _MONTHS_A_YEAR + now.month - 1 + _AHEAD_MONTHS + 1)


def _number(name: str) -> int:
    year, month = name.removeprefix("events_").split("_")
    return int(year) * _MONTHS_A_YEAR + int(month) - 1


def _name(number: int) -> str:
    return f"events_{number // _MONTHS_A_YEAR}_{number % _MONTHS_A_YEAR + 1:02}"


def _first(number: int) -> str:
    return f"{number // _MONTHS_A_YEAR}-{number % _MONTHS_A_YEAR + 1:02}-01"


def _end_of(name: str) -> datetime:
    return datetime.fromisoformat(_first(_number(name) + 1)).replace(tzinfo=UTC)
