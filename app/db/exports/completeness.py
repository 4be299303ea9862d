"""
Up to which instant a snapshot has all rows that will ever be there.

The times of rows are those at which their transactions began. What began before a snapshot may be
committed after it, and is in it neither then nor later.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import asyncpg

from app.db.exports.statements import ExportFilter
from app.db.feed.positions import COMMIT_DELAY

_LOOK_AGAIN_SECONDS: Final = 1.0

#: Asked before the snapshot is taken, so that what commits in between counts as not in it yet. Who
#: writes is seen on the primary only: a standby knows when what it has last replayed was committed,
#: and nothing if it has replayed nothing since its start. Autovacuum writes no rows of ours, and
#: takes long.
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
    connection: asyncpg.Connection, *, taken_back: timedelta = COMMIT_DELAY
) -> datetime | None:
    """
    Before what no row can appear that a snapshot taken now does not have; None: it is not known.

    A transaction that has not written yet is not seen, nor one of another login unless this one may
    read all statistics: hence *taken_back*.
    """
    instant: datetime | None = await connection.fetchval(_SAFE_INSTANT, taken_back)
    return instant


def complete_until(wanted: ExportFilter, safe: datetime | None) -> datetime | None:
    """Before what instant all of *wanted* is there, if it is *safe* up to there."""
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
    The same, once it is not before the end of *wanted*, if *patience* is enough for that.

    *on_wait* is told once how long it will take at least, and only if that is to be waited for.
    """
    deadline = monotonic() + patience.total_seconds()
    safe = await safe_instant(connection)
    lacking = _lacking(wanted, safe)
    if timedelta(0) < lacking <= patience:
        on_wait(lacking)
        while lacking > timedelta(0) and monotonic() < deadline:
            await asyncio.sleep(min(lacking.total_seconds(), _LOOK_AGAIN_SECONDS))
            safe = await safe_instant(connection)
            lacking = _lacking(wanted, safe)
    return safe


def _lacking(wanted: ExportFilter, safe: datetime | None) -> timedelta:
    if safe is None or wanted.until is None:
        return timedelta(0)
    return wanted.until - safe
