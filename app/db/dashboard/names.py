"""The names of campaigns, for lists of what belongs to them."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import text

from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database

_NAMES: Final = text("""
SELECT c.tracking_id, coalesce(c.name, f.name)
FROM unnest(CAST(:tracking_ids AS text[])) AS given (tracking_id)
CROSS JOIN LATERAL (
    SELECT tracking_id, name FROM campaigns WHERE tracking_id = given.tracking_id OFFSET 0
) AS c
LEFT JOIN bi_campaign_facts AS f ON f.campaign_key = c.tracking_id
WHERE coalesce(c.name, f.name) IS NOT NULL
""")


async def names_of_campaigns(
    database: Database, tracking_ids: Collection[str | None]
) -> Mapping[str, str]:
    """
    The names of the campaigns of *tracking_ids*, as far as they are known.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    wanted = sorted({one for one in tracking_ids if one is not None})
    if not wanted:
        return {}
    async with database.reading(planner=LOOK_UPS) as session:
        rows = await session.execute(_NAMES, {"tracking_ids": wanted})
        return {row[0]: row[1] for row in rows}
