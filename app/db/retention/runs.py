"""Runs of long work: their connections, one process at a time, and what they leave on record."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import text

from app.db.database import Database
from app.domain.feed import Position
from app.domain.retention import Horizons
from app.errors import DatabaseUnavailable

T = TypeVar("T")

#: Each try waits only briefly for the locks that callbacks hold.
_TRIES: Final = 50
_PAUSE_SECONDS: Final = 0.1
_SETTINGS: Final = {
    # Callbacks queue behind a statement that waits for a lock of a whole table.
    "lock_timeout": "200ms",
    "plan_cache_mode": "force_custom_plan",
}
#: For chunks of a large table: in the order of an index, and never all of a partition, scanned or
#: sorted for its first thousand rows. Without statistics the planner would do so.
CHUNK_PLANNER: Final = {"enable_seqscan": "off", "enable_sort": "off"}
_STATEMENT_SECONDS: Final = 3600.0
#: One keeps the lock, one works, one stores the progress.
LONG_WORK_POOL_ITEMS: Final = 3
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
_UNLOCK: Final = "SELECT pg_advisory_unlock($1)"

_PURGE_RUN: Final = "everything"
_RAN_WITHIN: Final = text("""
SELECT EXISTS (
    SELECT FROM retention_positions
    WHERE name = :name AND reached_at > now() - CAST(:every AS interval)
)
""")
_NOTE_RUN: Final = text("""
INSERT INTO retention_positions (name) VALUES (:name)
ON CONFLICT (name) DO UPDATE SET reached_at = now()
""")
_NOTE_HORIZON: Final = text("""
INSERT INTO retention_positions AS p (name, reached_at) VALUES (:name, :horizon)
ON CONFLICT (name) DO UPDATE SET reached_at = greatest(p.reached_at, excluded.reached_at)
""")
#: Every process polls this version, see `erasure.recipients.read_erased`.
_NEXT_VERSION: Final = text("UPDATE erasure_state SET version = version + 1")
_ROLLED_UP: Final = text("SELECT feed_epoch, xid, id FROM bi_rollup_state")


@asynccontextmanager
async def long_work(url: str, *, name: str) -> AsyncIterator[Database]:
    """A database for long work, with connections that end with the block."""
    database = Database(
        url,
        name=name,
        pool_items=LONG_WORK_POOL_ITEMS,
        session_settings=_SETTINGS,
        statement_timeout_seconds=_STATEMENT_SECONDS,
    )
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def exclusive(database: Database, lock: int) -> AsyncIterator[bool]:
    """Whether this process got the advisory *lock*, which it keeps while the block runs."""
    async with database.driver() as connection:
        is_ours = bool(await connection.fetchval(_TRY_LOCK, lock))
        try:
            yield is_ours
        finally:
            if is_ours and not connection.is_closed():
                await connection.execute(_UNLOCK, lock)


async def gently(do: Callable[[], Awaitable[T]]) -> T:
    """Call *do*, and pause for as long as it took: half of the time is left to others."""
    started = time.monotonic()
    done = await do()
    await asyncio.sleep(time.monotonic() - started)
    return done


async def patiently(do: Callable[[], Awaitable[T]]) -> T:
    """Repeat *do* while it does not get its locks."""
    for _ in range(_TRIES):
        try:
            return await do()
        except DatabaseUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
    return await do()


async def ran_within(database: Database, every: timedelta) -> bool:
    """Whether a purge run has ended within *every*."""
    async with database.reading() as session:
        return bool(await session.scalar(_RAN_WITHIN, {"name": _PURGE_RUN, "every": every}))


async def note_run(database: Database) -> None:
    """Record that a purge run has ended."""
    async with database.writing() as session:
        await session.execute(_NOTE_RUN, {"name": _PURGE_RUN})


async def note_horizons(database: Database, horizons: Horizons) -> None:
    """
    Let all processes know that what was received before *horizons* is about to be removed.

    They may have been started without the settings of retention.
    """
    async with database.writing() as session:
        await session.execute(_NEXT_VERSION)
        for kind, horizon in horizons._asdict().items():
            if horizon is not None:
                given = {"name": f"removed {kind}", "horizon": horizon}
                await session.execute(_NOTE_HORIZON, given)


async def rolled_up_position(database: Database) -> Position:
    """The position up to which events are rolled up for BI; later ones must stay for now."""
    async with database.reading() as session:
        return Position._make((await session.execute(_ROLLED_UP)).one())


class Survey(NamedTuple):
    """How many rows of one kind a run would purge, and about how many bytes they have."""

    name: str
    rows: int
    bytes: int


_SURVEYS: Final = {
    "raw": {
        "payloads of events": "SELECT count(*), coalesce(sum(pg_column_size(payload)), 0)"
        " FROM events WHERE payload IS NOT NULL AND received_at < :before",
        "payloads of inbound_messages": "SELECT count(*), coalesce(sum(pg_column_size(payload)), 0)"
        " FROM inbound_messages WHERE payload IS NOT NULL AND received_at < :before",
        "payloads of campaign_progress": "SELECT count(*), "
        "coalesce(sum(pg_column_size(payload)), 0)"
        " FROM campaign_progress WHERE payload IS NOT NULL AND received_at < :before",
    },
    "events": {
        "events": "SELECT count(*), coalesce(sum(pg_column_size(e.*)), 0)"
        " FROM events e WHERE received_at < :before",
        "notices": "SELECT count(*), coalesce(sum(pg_column_size(n.*)), 0)"
        " FROM notices n WHERE received_at < :before",
        "campaign_progress": "SELECT count(*), coalesce(sum(pg_column_size(p.*)), 0)"
        " FROM campaign_progress p WHERE received_at < :before",
    },
    "messages": {
        # A message goes with its last event: those that would be gone by then are left out.
        "messages": "SELECT count(*), coalesce(sum(pg_column_size(m.*)), 0)"
        " FROM messages m WHERE updated_at < :before AND NOT EXISTS (SELECT FROM events e"
        " WHERE e.message_tracking_id = m.message_tracking_id AND e.received_at >= :events)",
    },
    "inbound": {
        "inbound_messages": "SELECT count(*), coalesce(sum(pg_column_size(i.*)), 0)"
        " FROM inbound_messages i WHERE received_at < :before",
        "quarantine": "SELECT count(*), coalesce(sum(pg_column_size(q.*)), 0)"
        " FROM quarantine q WHERE last_received_at < :before",
    },
}


async def survey(
    database: Database, kind: str, *, before: datetime, events: datetime | None
) -> list[Survey]:
    """What of *kind*, a field of `Retention`, would be purged; *events* is the events' horizon."""
    surveys = []
    async with database.reading() as session:
        for name, query in _SURVEYS[kind].items():
            given = {"before": before} | ({"events": events} if ":events" in query else {})
            rows, size = (await session.execute(text(query), given)).one()
            surveys.append(Survey(name, int(rows), int(size)))
    return surveys
