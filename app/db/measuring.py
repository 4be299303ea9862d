"""What the metrics take from the database. Each statement has a bound on what it reads."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from app.db.database import Database
from app.domain.event import Source

#: What is more is not counted.
MAX_COUNTED: Final = 100_000
_NEWEST_ITEMS: Final = 1000

_LAUNCHES: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)
FROM campaigns WHERE submission = 'unconfirmed'
"""
_QUARANTINE: Final = """
SELECT reason, count(*)
FROM (SELECT reason FROM quarantine ORDER BY id DESC LIMIT $1) AS newest
GROUP BY reason
"""
_PENDING: Final = """
SELECT count(*) FROM (SELECT FROM bi_pending_events() LIMIT $1) AS pending
"""
#: What the reconciler found is no callback, and is passed over among the newest items.
_NEWEST_CALLBACK: Final = """
SELECT greatest(
    (
        SELECT max(received_at)
        FROM (
            SELECT received_at, source FROM events
            ORDER BY feed_epoch DESC, xid DESC, id DESC LIMIT $1
        ) AS newest
        WHERE source = $2
    ),
    (SELECT max(received_at) FROM inbound_messages)
)
"""
_WAL_OF_PRIMARY: Final = "SELECT pg_current_wal_lsn()::text"
#: Nothing is missing: 0, however long ago the last transaction was.
_LAG: Final = """
SELECT CASE
    WHEN NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= $1::text::pg_lsn THEN 0
    ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)
END
"""


class Measured(NamedTuple):
    """What a database has at the moment."""

    launches_unconfirmed: int
    oldest_unconfirmed_seconds: float
    #: By reason.
    quarantine: Mapping[str, int]
    roll_up_pending_events: int
    octets: int


async def measure(database: Database) -> Measured:
    """
    Measure *database*.

    Raises:
        DatabaseUnavailable: it failed, or cannot be reached.
    """
    async with database.driver() as connection:
        unconfirmed, seconds = _row(await connection.fetchrow(_LAUNCHES))
        reasons = await connection.fetch(_QUARANTINE, MAX_COUNTED)
        pending = await connection.fetchval(_PENDING, MAX_COUNTED)
        octets = await connection.fetchval("SELECT pg_database_size(current_database())")
    return Measured(
        int(unconfirmed),
        float(seconds),
        {reason: times for reason, times in reasons},  # noqa: C416 (records are no pairs)
        int(pending),
        int(octets),
    )


async def newest_callback(database: Database) -> datetime | None:
    """
    When the newest callback was received that is stored; None if none is known.

    Raises:
        DatabaseUnavailable: it failed, or cannot be reached.
    """
    async with database.driver() as connection:
        newest: datetime | None = await connection.fetchval(
            _NEWEST_CALLBACK, _NEWEST_ITEMS, Source.CALLBACK
        )
    return newest


async def replica_lag_seconds(primary: Database, replica: Database) -> float:
    """
    How old what *replica* shows is; 0 if it lacks nothing of *primary*, or is no replica.

    Raises:
        DatabaseUnavailable: one of them failed, or cannot be reached.
    """
    async with primary.driver() as connection:
        written = await connection.fetchval(_WAL_OF_PRIMARY)
    async with replica.driver() as connection:
        return float(await connection.fetchval(_LAG, written))


def _row(row: asyncpg.Record | None) -> asyncpg.Record:
    assert row is not None  # noqa: S101 (an aggregate has one row)
    return row
