"""The only file that knows how much was received of late, in steps of five minutes."""

from datetime import timedelta
from typing import Final

import asyncpg
from sqlalchemy import text

from app.db.dashboard.planner import RANGES
from app.db.database import Database
from app.domain.received import Counted, Measure

STEP: Final = timedelta(minutes=5)
KEPT: Final = timedelta(days=8)

#: In one order, so that processes which add at the same time wait for one another and no more.
_ADD: Final = """
INSERT INTO received_lately AS r (began_at, measure, bucket, times)
SELECT date_bin($4, now(), 'epoch'), given.*
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (measure, bucket, times)
ORDER BY measure, bucket
ON CONFLICT (began_at, measure, bucket) DO UPDATE SET times = r.times + excluded.times
"""
_FORGET: Final = "DELETE FROM received_lately WHERE began_at < now() - $1::interval"
_SINCE: Final = text("""
SELECT measure, bucket, sum(times)::bigint
FROM received_lately
WHERE began_at > now() - CAST(:period AS interval)
GROUP BY measure, bucket
""")


async def add_lately(connection: asyncpg.Connection, added: Counted) -> None:
    """Add to the counts of now what was *added*, and forget those that are older than `KEPT`."""
    measures, buckets = [measure for measure, _ in added], [bucket for _, bucket in added]
    await connection.execute(_ADD, measures, buckets, list(added.values()), STEP)
    await connection.execute(_FORGET, KEPT)


async def received_of_late(database: Database, period: timedelta) -> Counted:
    """
    What was counted in the last *period*, to the step.

    The first step is left out unless it is in it as a whole, and the last seconds may be missing:
    each process adds what it has counted six times a minute.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    async with database.reading(planner=RANGES) as session:
        rows = await session.execute(_SINCE, {"period": period})
        return {(Measure(measure), bucket): times for measure, bucket, times in rows}
