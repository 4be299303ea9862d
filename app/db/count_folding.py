"""Folding the appended deltas of the campaigns' counts into one row for each status."""

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import text

from app.db.database import Database

#: Any number, as long as no other program in the same database uses it.
_FOLD_LOCK: Final = 7_021_002
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(:lock)"
#: So that one fold stays short.
MAX_DELTAS: Final = 50_000
#: Longer than any transaction that appends deltas may take.
_ENDED_AFTER_SECONDS: Final = 60.0

#: One statement: a reader of the counts sees each change exactly once.
_FOLD: Final = """
WITH gone AS (
    DELETE FROM campaign_count_deltas
    WHERE id IN (SELECT id FROM campaign_count_deltas WHERE id > :floor ORDER BY id LIMIT :most)
    RETURNING id, campaign_tracking_id, status, messages
),
folded AS (
    INSERT INTO campaign_counts AS c (campaign_tracking_id, status, messages)
    SELECT campaign_tracking_id, status, sum(messages)
    FROM gone GROUP BY campaign_tracking_id, status
    ON CONFLICT (campaign_tracking_id, status) DO UPDATE SET
        messages = c.messages + excluded.messages
)
SELECT count(*), coalesce(max(id), 0) FROM gone
"""


class CountFolding:
    """
    Folds the counts, and knows the id up to which no deltas are left.

    While another session holds a snapshot, PostgreSQL must keep the deleted deltas. A fold that
    scanned all of them for what is left would take longer each second.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        #: No delta has this id or a lesser one.
        self._floor = 0
        #: When, and the greatest id that was folded then. Lesser ids may be committed later.
        self._seen: tuple[float, int] | None = None

    async def fold(self) -> int:
        """Fold at most `MAX_DELTAS` deltas; how many. 0 also while another process folds."""
        began = self._clock()
        async with self._database.writing() as session:
            if not await session.scalar(text(_LOCK), {"lock": _FOLD_LOCK}):
                return 0
            result = await session.execute(text(_FOLD), {"floor": self._floor, "most": MAX_DELTAS})
            folded, greatest = result.one()
        self._raise_floor(began, folded=folded, greatest=greatest)
        return int(folded)

    def forget(self) -> None:
        """Look for deltas of all ids again: in a restored database they begin earlier."""
        self._floor, self._seen = 0, None

    def _raise_floor(self, began: float, *, folded: int, greatest: int) -> None:
        if self._seen is None:
            self._seen = (self._clock(), greatest)
            return
        at, seen = self._seen
        # All lesser ones were visible to this fold, and it did not stop before them.
        if began - at > _ENDED_AFTER_SECONDS and folded < MAX_DELTAS:
            self._floor = max(self._floor, seen)
            self._seen = (self._clock(), greatest)
