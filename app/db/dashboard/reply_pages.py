"""Lists of replies for people, the newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text

from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database
from app.db.inbound_messages import Reply, replies_of

#: How many replies one page looks at when only those to one campaign are wanted: of those that name
#: it, and of those that name no campaign.
MAX_SCANNED_ITEMS: Final = 10_000
#: Beyond every id.
_ABOVE: Final = 2**63 - 1


class ReplyTimes(NamedTuple):
    """The time within which replies were received."""

    since: datetime | None = None
    before: datetime | None = None


class ReplyPosition(NamedTuple):
    """Where a reply is in the order of receipt."""

    received_at: datetime
    id: int


class NewestReplies(NamedTuple):
    """Some replies, and where the older ones are."""

    replies: Sequence[Reply]
    #: The reply before which the list goes on.
    end: ReplyPosition | None


class RepliesToCampaign(NamedTuple):
    """Some replies to a campaign, and where the older ones are."""

    replies: Sequence[Reply]
    #: The id below which the list goes on, perhaps of a reply that was not wanted.
    end: int | None


_IN_TIME: Final = """(
    (CAST(:since AS timestamptz) IS NULL OR received_at >= CAST(:since AS timestamptz))
    AND (CAST(:before AS timestamptz) IS NULL OR received_at < CAST(:before AS timestamptz))
)"""
_RECEIVED: Final = text("""
SELECT id FROM inbound_messages
WHERE received_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
    AND received_at < coalesce(CAST(:before AS timestamptz), 'infinity')
    AND (received_at, id) < (
        coalesce(CAST(:received_at AS timestamptz), 'infinity'), CAST(:above AS bigint)
    )
ORDER BY received_at DESC, id DESC LIMIT :wanted
""")
#: A reply belongs to the campaign that it names, else to that of the message that it answers. Where
#: one scan ends at its limit, nothing below is listed, as the other scan could have more there.
_OF_CAMPAIGN: Final = text(f"""
WITH named AS MATERIALIZED (
    SELECT id, received_at FROM inbound_messages
    WHERE campaign_tracking_id = :tracking_id AND id < :above ORDER BY id DESC LIMIT :scanned
),
answering AS MATERIALIZED (
    SELECT id, received_at, reference_tracking_id FROM inbound_messages
    WHERE campaign_tracking_id IS NULL AND reference_tracking_id IS NOT NULL AND id < :above
    ORDER BY id DESC LIMIT :scanned
),
answered AS MATERIALIZED (
    SELECT a.id, a.received_at FROM answering AS a CROSS JOIN LATERAL (
        SELECT FROM messages
        WHERE message_tracking_id = a.reference_tracking_id
            AND campaign_tracking_id = :tracking_id
        OFFSET 0
    ) AS m
),
reached AS (
    SELECT greatest(
        (SELECT min(id) FROM named HAVING count(*) = :scanned),
        (SELECT min(id) FROM answering HAVING count(*) = :scanned)
    ) AS id
)
SELECT
    (SELECT id FROM reached),
    ARRAY(
        SELECT id FROM (SELECT * FROM named UNION ALL SELECT * FROM answered) AS found
        WHERE id >= coalesce((SELECT id FROM reached), 0) AND {_IN_TIME}
        ORDER BY id DESC LIMIT :wanted
    )
""")  # noqa: S608 (made of constants)


async def page_of_newest_replies(
    database: Database, times: ReplyTimes, *, before: ReplyPosition | None, limit: int
) -> NewestReplies:
    """
    At most *limit* replies, the last received first, received before *before*.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    received_at, above = before or (None, None)
    given = _given(times, above, limit) | {"received_at": received_at}
    async with database.reading(planner=LOOK_UPS) as session:
        ids = list(await session.scalars(_RECEIVED, given))
    found = {reply.row.id: reply for reply in await _replies(database, ids[:limit])}
    replies = [found[one] for one in ids[:limit] if one in found]
    is_more = len(ids) > limit and bool(replies)
    end = ReplyPosition(replies[-1].row.received_at, replies[-1].row.id) if is_more else None
    return NewestReplies(replies, end)


async def page_of_newest_replies_to(
    database: Database, tracking_id: str, times: ReplyTimes, *, above: int | None, limit: int
) -> RepliesToCampaign:
    """
    At most *limit* replies to the campaign *tracking_id* with ids below *above*, the newest first.

    The page may be short or empty without being the last.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    given = _given(times, above, limit)
    given |= {"tracking_id": tracking_id, "scanned": MAX_SCANNED_ITEMS}
    async with database.reading(planner=LOOK_UPS) as session:
        reached, ids = (await session.execute(_OF_CAMPAIGN, given)).one()
    end = ids[limit - 1] if len(ids) > limit else reached
    return RepliesToCampaign(await _replies(database, ids[:limit]), end)


async def _replies(database: Database, ids: Sequence[int]) -> Sequence[Reply]:
    return await replies_of(database, ids) if ids else ()


def _given(times: ReplyTimes, above: int | None, limit: int) -> dict[str, object]:
    return {
        "since": times.since,
        "before": times.before,
        "above": _ABOVE if above is None else above,
        "wanted": limit + 1,
    }
