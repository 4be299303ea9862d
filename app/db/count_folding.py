"""Folding the appended changes of the campaigns' counts into one row for each status."""

from typing import Final

from sqlalchemy import text

from app.db.database import Database

#: Any number, as long as no other program in the same database uses it.
_FOLD_LOCK: Final = 7_021_002
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(:lock)"
#: So that one fold stays short however many changes have gathered.
MAX_DELTAS: Final = 50_000

#: One statement: whoever reads the counts sees each change in one place exactly.
_FOLD: Final = """
WITH gone AS (
    DELETE FROM campaign_count_deltas
    WHERE id IN (SELECT id FROM campaign_count_deltas ORDER BY id LIMIT :most)
    RETURNING campaign_tracking_id, status, messages
),
folded AS (
    INSERT INTO campaign_counts AS c (campaign_tracking_id, status, messages)
    SELECT campaign_tracking_id, status, sum(messages)
    FROM gone GROUP BY campaign_tracking_id, status
    ON CONFLICT (campaign_tracking_id, status) DO UPDATE SET
        messages = c.messages + excluded.messages
)
SELECT count(*) FROM gone
"""


async def fold_counts(database: Database) -> int:
    """Fold at most `MAX_DELTAS` changes; how many. 0 also while another process is at it."""
    async with database.writing() as session:
        if not await session.scalar(text(_LOCK), {"lock": _FOLD_LOCK}):
            return 0
        result = await session.execute(text(_FOLD), {"most": MAX_DELTAS})
        return int(result.scalar_one())
