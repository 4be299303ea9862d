"""The replies to one campaign: how many there are, and the newest."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text

from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database
from app.db.inbound_messages import Reply, replies_of

#: More are not counted.
MAX_COUNTED: Final = 1_000
#: How many of the newest replies that name no campaign are looked at.
MAX_SCANNED_ITEMS: Final = 10_000


class CampaignReplies(NamedTuple):
    """The replies to a campaign."""

    #: The newest first.
    newest: Sequence[Reply]
    number: int
    #: Whether there are more.
    is_more: bool


#: A reply belongs to the campaign that it names, else to that of the message that it answers.
_REPLIES: Final = text("""
WITH named AS MATERIALIZED (
    SELECT id FROM inbound_messages
    WHERE campaign_tracking_id = :tracking_id ORDER BY id DESC LIMIT :most
),
answering AS MATERIALIZED (
    SELECT id, reference_tracking_id FROM inbound_messages
    WHERE campaign_tracking_id IS NULL AND reference_tracking_id IS NOT NULL
    ORDER BY id DESC LIMIT :scanned
),
answered AS MATERIALIZED (
    SELECT a.id FROM answering AS a CROSS JOIN LATERAL (
        SELECT FROM messages
        WHERE message_tracking_id = a.reference_tracking_id
            AND campaign_tracking_id = :tracking_id
        OFFSET 0
    ) AS m
)
SELECT
    (SELECT count(*) FROM named) + (SELECT count(*) FROM answered) + coalesce(
        (SELECT replies FROM bi_removed_replies WHERE campaign_key = :tracking_id), 0
    ),
    (SELECT count(*) FROM named) = :most OR (SELECT count(*) FROM answering) = :scanned,
    ARRAY(
        SELECT id FROM named UNION ALL SELECT id FROM answered ORDER BY id DESC LIMIT :shown
    )
""")


async def replies_to(database: Database, tracking_id: str, *, limit: int) -> CampaignReplies:
    """
    The newest replies to the campaign *tracking_id*, at most *limit*, and how many there are.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    given = {
        "tracking_id": tracking_id,
        "most": MAX_COUNTED + 1,
        "scanned": MAX_SCANNED_ITEMS,
        "shown": limit,
    }
    async with database.reading(planner=LOOK_UPS) as session:
        count, is_cut, ids = (await session.execute(_REPLIES, given)).one()
    newest = await replies_of(database, ids) if ids else ()
    is_more = is_cut or count > MAX_COUNTED
    return CampaignReplies(newest, min(count, MAX_COUNTED) if is_more else count, is_more)
