"""
The instant before which a snapshot is complete.

The time of a row is when its transaction began. A transaction that began before the snapshot may
commit after it, and its rows are missing from the snapshot.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import asyncpg

from app.db.exports.statements import ExportFilter
from app.db.feed.positions import COMMIT_DELAY

_POLL_SECONDS: Final = 1.0

#: Asked before the snapshot is taken, so that rows committed in between count as missing. A standby
#: does not see who writes: it has the commit time of what it has last replayed, or null if it has
#: replayed nothing since its start. Autovacuum takes long, and writes no rows of ours.
_SAFE_INSTANT: Final = """
SELECT CASE
    WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() - $1::interval
    ELSE least(now() - $1::interval, (
        SELECT min(xact_start) FROM pg_stat_activity
        WHERE backend_xid IS NOT NULL AND datname = current_database()
            AND backend_type <> 'autovacuum worker'
    ))
END
"""


async def safe_instant(
    connection: asyncpg.Connection, *, commit_delay: timedelta = COMMIT_DELAY
) -> datetime | None:
    """
    An instant before which a snapshot taken now has all rows; None if it is unknown.

    Transactions that have not written yet cannot be seen, nor those of other logins unless this one
    may read all statistics: hence *commit_delay*.
    """
    instant: datetime | None = await connection.fetchval(_SAFE_INSTANT, commit_delay)
    return instant


def complete_until(wanted: ExportFilter, safe: datetime | None) -> datetime | None:
    """The instant before which all of *wanted* is in a snapshot that is complete until *safe*."""
    if safe is None:
        return None
    reached = safe if wanted.until is None else min(wanted.until, safe)
    return reached if wanted.since is None else max(wanted.since, reached)


async def awaited_safe_instant(
    connection: asyncpg.Connection,
    wanted: ExportFilter,
    patience: timedelta,
    on_wait: Callable[[timedelta], None],
) -> datetime | None:
    """
    `safe_instant`, awaited until it has reached the end of *wanted*, if *patience* is enough.

    *on_wait* is called once with the shortest time to wait, and only if it is waited for.
    """
    deadline = monotonic() + patience.total_seconds()
    safe = await safe_instant(connection)
    lacking = _lacking(wanted, safe)
    if timedelta(0) < lacking <= patience:
        on_wait(lacking)
        while lacking > timedelta(0) and monotonic() < deadline:
            await asyncio.sleep(min(lacking.total_seconds(), _POLL_SECONDS))
            safe = await safe_instant(connection)
            lacking = _lacking(wanted, safe)
    return safe


def _lacking(wanted: ExportFilter, safe: datetime | None) -> timedelta:
    if safe is None or wanted.until is None:
        return timedelta(0)
    return wanted.until - safe
