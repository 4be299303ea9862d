"""The duties that finish campaigns, and count what is overdue then."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from app.db.database import Database
from app.db.finishing import due_campaigns, finish_some
from app.db.reconcile import count_missing
from app.db.retention.runs import exclusive
from app.domain.reconcile import SEARCH_BACK
from app.observability.metrics import Metrics

#: Any number, as long as no other program in the same database uses it.
_FINISH_LOCK: Final = 7_021_005


async def finish_due(database: Database) -> None:
    """
    Finish all campaigns that are due, unless another process is at it.

    Raises:
        DatabaseUnavailable: it was interrupted. The next call goes on.
    """
    async with exclusive(database, _FINISH_LOCK) as is_ours:
        if is_ours:
            await _finish_all(database)


async def measure_missing(database: Database, metrics: Metrics) -> None:
    """
    Measure how many messages of the campaigns of late are awaited, and overdue.

    Raises:
        DatabaseUnavailable: they cannot be counted.
    """
    since = datetime.now(UTC) - SEARCH_BACK
    for gauge, finished in ((metrics.awaited_messages, False), (metrics.overdue_messages, True)):
        gauge.set(await count_missing(database, since=since, finished=finished))


async def _finish_all(database: Database) -> None:
    after = UUID(int=0)
    while True:
        due, end = await due_campaigns(database, after=after)
        for campaign_id in due:
            while await finish_some(database, campaign_id):
                pass
        if end == after:
            return
        after = end
