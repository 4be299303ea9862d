"""
Finishing campaigns: noticing once that nothing more is to come, and telling it in the feed.

A campaign is finished when each expected message has a final status, or when its time is over.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.domain.finishing import DEFAULT_TTL, REPETITIONS

#: Each campaign and each message is looked up by its key. A plan that was made for small tables
#: stays with its connection, and would scan them when they have grown.
PLANNER: Final = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
#: How many campaigns one statement examines.
PART_ITEMS: Final = 1000
#: How many messages one transaction examines: it holds the feed back while it runs.
CHUNK_ITEMS: Final = 2000
_DEFAULT_TTL_SECONDS: Final = int(DEFAULT_TTL.total_seconds())
_REPETITIONS_SECONDS: Final = int(REPETITIONS.total_seconds())

_UNFINISHED: Final = "finished_at IS NULL AND submission IN ('launched', 'observed')"
#: Of each campaign in `part`: how many messages it has, how many of them are final, and whether its
#: time is over.
EXAMINED: Final = f"""
SELECT p.id, p.tracking_id, p.overdue_upto, n.total, n.final_count,
    greatest(n.total, coalesce(p.expected_messages, 0)) AS expected,
    p.expected_messages IS NOT NULL AND n.final_count >= greatest(n.total, p.expected_messages)
        AS is_complete,
    o.over_at < now() AS is_over, o.over_at
FROM part AS p CROSS JOIN LATERAL (
    SELECT greatest(p.created_at, p.scheduled_at, (
        SELECT max(t.last_created_at) FROM bi_campaign_facts AS t
        WHERE t.campaign_key IN (p.tracking_id, 'ours:' || p.id)
    )) + make_interval(
        secs => coalesce(p.ttl_seconds, {_DEFAULT_TTL_SECONDS}) + {_REPETITIONS_SECONDS}
    ) AS over_at
) AS o CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.messages), 0)::bigint AS total,
        coalesce(sum(c.messages) FILTER (WHERE s.rank >= 3), 0)::bigint AS final_count
    FROM (
        SELECT status, messages FROM campaign_counts WHERE campaign_tracking_id = p.tracking_id
        UNION ALL
        SELECT status, messages FROM campaign_count_deltas
        WHERE campaign_tracking_id = p.tracking_id
    ) AS c JOIN statuses AS s ON s.status = c.status
) AS n
"""
_DUE: Final = text(f"""
WITH part AS MATERIALIZED (
    SELECT * FROM campaigns WHERE {_UNFINISHED} AND id > :after ORDER BY id LIMIT {PART_ITEMS}
)
SELECT id, is_complete OR is_over FROM ({EXAMINED}) AS examined ORDER BY id
""")
_LOCK: Final = text(f"""
SELECT id FROM campaigns WHERE id = :id AND {_UNFINISHED} FOR NO KEY UPDATE SKIP LOCKED
""")
#: A statement of its own after the lock, so that it sees what was committed before.
_EXAMINE: Final = text(f"WITH part AS (SELECT * FROM campaigns WHERE id = :id) {EXAMINED}")
#: `FOR KEY SHARE` keeps erasure out until the number is committed where it will search for it, and
#: no callback waits for it.
_ADD_OVERDUE: Final = """
WITH part AS MATERIALIZED (
    SELECT message_tracking_id FROM messages
    WHERE {which} AND message_tracking_id > :upto
    ORDER BY message_tracking_id LIMIT :most
),
overdue AS MATERIALIZED (
    SELECT m.message_tracking_id, m.recipient, m.status FROM messages AS m
    WHERE m.message_tracking_id IN (SELECT message_tracking_id FROM part) AND m.status_rank < 3
    ORDER BY m.message_tracking_id FOR KEY SHARE
),
announced AS (
    INSERT INTO notices (type, campaign_id, campaign_tracking_id, message_tracking_id, data)
    SELECT 'message.overdue', CAST(:id AS uuid), :tracking_id, message_tracking_id,
        jsonb_build_object('to', recipient, 'status', status)
    FROM overdue
)
SELECT count(*), max(message_tracking_id) FROM part
"""
_OF_TRACKING_ID: Final = text(_ADD_OVERDUE.format(which="campaign_tracking_id = :tracking_id"))
_OF_OURS: Final = text(
    _ADD_OVERDUE.format(which="campaign_id = CAST(:id AS uuid) AND campaign_tracking_id IS NULL")
)
_GO_ON: Final = text("UPDATE campaigns SET overdue_upto = :upto WHERE id = :id")
_FINISH: Final = text("""
WITH finished AS (
    UPDATE campaigns SET finished_at = now(), overdue_upto = NULL, updated_at = now()
    WHERE id = :id RETURNING *
)
INSERT INTO notices (type, campaign_id, campaign_tracking_id, data)
SELECT 'campaign.finished', id, tracking_id, jsonb_build_object(
    'campaignName', name, 'label', label, 'submissionReason', submission_reason,
    'total', CAST(:total AS bigint), 'finalCount', CAST(:final_count AS bigint),
    'overdue', CAST(:overdue AS bigint)
)
FROM finished
""")
_BEGINNING: Final = UUID(int=0)


class _Examined(NamedTuple):
    """How a campaign stands."""

    id: UUID
    tracking_id: str | None
    overdue_upto: str | None
    total: int
    final_count: int
    #: How many messages were announced, or came if these are more.
    expected: int
    is_complete: bool
    is_over: bool
    #: When its time is over.
    over_at: datetime


async def due_campaigns(database: Database, *, after: UUID = _BEGINNING) -> tuple[list[UUID], UUID]:
    """
    The campaigns to finish among the next `PART_ITEMS` unfinished ones.

    The other value is where the next part begins; *after* itself if there are no more.
    """
    async with database.reading(planner=PLANNER) as session:
        rows = (await session.execute(_DUE, {"after": after})).all()
    return [row[0] for row in rows if row[1]], rows[-1][0] if rows else after


async def finish_some(database: Database, campaign_id: UUID) -> bool:
    """
    Go on with finishing a campaign: announce some overdue messages, and then its end.

    Interrupted, it is gone on with; nothing is announced twice. False if it has ended, is not due
    any more, or another process is at it.
    """
    async with database.writing_feed(planner=PLANNER) as session:
        if await session.scalar(_LOCK, {"id": campaign_id}) is None:
            return False
        found = _Examined(*(await session.execute(_EXAMINE, {"id": campaign_id})).one())
        if not (found.is_complete or found.is_over):
            return False
        if not found.is_complete and await _tell_overdue(session, found):
            return True
        await session.execute(_FINISH, _end_of(found))
        return False


def _end_of(found: _Examined) -> dict[str, Any]:
    return {
        "id": found.id,
        "total": found.total,
        "final_count": found.final_count,
        "overdue": max(found.expected - found.final_count, 0),
    }


async def _tell_overdue(session: AsyncSession, found: _Examined) -> bool:
    """Tell of the overdue among the next messages of the campaign; False if these are the last."""
    statement = _OF_OURS if found.tracking_id is None else _OF_TRACKING_ID
    given = {
        "id": found.id,
        "tracking_id": found.tracking_id,
        "upto": found.overdue_upto or "",
        "most": CHUNK_ITEMS,
    }
    examined, last = (await session.execute(statement, given)).one()
    if examined < CHUNK_ITEMS:
        return False
    await session.execute(_GO_ON, {"id": found.id, "upto": last})
    return True
