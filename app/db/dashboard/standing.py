"""Where the messages of the campaigns of late stand, and what waits for a person."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import text

from app.db.campaigns import first_id_at
from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database
from app.domain.status import RANK, Status, is_final

#: The messages of so many campaigns are added up at most: of the newest, and of unfinished ones.
MAX_CAMPAIGNS: Final = 1_000
#: More bodies of the quarantine are not counted, and no more than the newest are looked at.
MAX_QUARANTINED: Final = 1_000
MAX_SCANNED_BODIES: Final = 10_000
#: More pending events are not counted.
MAX_PENDING: Final = 10_000


class Standing(NamedTuple):
    """Where the messages of some campaigns stand."""

    #: How many messages are in each status.
    counts: Mapping[str, int]
    #: Expected messages without a final status: of campaigns that are not finished, and of others.
    awaited: int
    overdue: int
    #: Whether there are so many campaigns that some were left out.
    is_partial: bool


class AtMost(NamedTuple):
    """A count that was ended when there were enough."""

    number: int
    #: Whether there are more.
    is_more: bool


#: As in `app.db.finishing`: what is expected, and what is final, of each campaign.
_STANDING: Final = text("""
WITH newest AS MATERIALIZED (
    SELECT id FROM campaigns WHERE id >= :since ORDER BY id DESC LIMIT :most
),
unfinished AS MATERIALIZED (
    SELECT id FROM campaigns
    WHERE finished_at IS NULL AND submission IN ('launched', 'observed')
    ORDER BY id DESC LIMIT :most
),
part AS MATERIALIZED (
    SELECT c.id, c.tracking_id, c.expected_messages, c.finished_at IS NOT NULL AS is_finished,
        c.submission IN ('launched', 'observed') AND coalesce(c.scheduled_at <= now(), true)
            AS has_begun
    FROM (SELECT id FROM newest UNION SELECT id FROM unfinished) AS wanted
    CROSS JOIN LATERAL (SELECT * FROM campaigns WHERE id = wanted.id OFFSET 0) AS c
),
counted AS MATERIALIZED (
    SELECT p.id, p.is_finished, p.has_begun, p.expected_messages, n.status, n.messages
    FROM part AS p LEFT JOIN LATERAL (
        SELECT status, messages FROM campaign_counts WHERE campaign_tracking_id = p.tracking_id
        UNION ALL
        SELECT status, messages FROM campaign_count_deltas
        WHERE campaign_tracking_id = p.tracking_id
        OFFSET 0
    ) AS n ON true
),
missing AS MATERIALIZED (
    SELECT is_finished,
        greatest(coalesce(sum(messages), 0), coalesce(max(expected_messages), 0))
            - coalesce(sum(messages) FILTER (WHERE status = ANY(CAST(:final AS text[]))), 0)
            AS messages
    FROM counted WHERE has_begun
    GROUP BY id, is_finished
)
SELECT
    (
        SELECT jsonb_object_agg(status, messages)::text FROM (
            SELECT status, sum(messages) AS messages FROM counted
            WHERE status IS NOT NULL
            GROUP BY status HAVING sum(messages) <> 0
        ) AS of_each
    ),
    (SELECT coalesce(sum(messages), 0)::bigint FROM missing WHERE NOT is_finished),
    (SELECT coalesce(sum(messages), 0)::bigint FROM missing WHERE is_finished),
    greatest((SELECT count(*) FROM newest), (SELECT count(*) FROM unfinished))
""")
_UNSTORED: Final = text("""
SELECT count(*) FROM (
    SELECT FROM (
        SELECT replay_outcome FROM quarantine ORDER BY id DESC LIMIT :scanned
    ) AS newest
    WHERE replay_outcome IS DISTINCT FROM 'stored' LIMIT :most
) AS unstored
""")
_UNCONFIRMED: Final = text("""
SELECT count(*) FROM (
    SELECT FROM campaigns WHERE submission = 'unconfirmed' LIMIT :most
) AS unconfirmed
""")
_PENDING: Final = text("""
SELECT count(*) FROM (
    SELECT FROM events
    WHERE (feed_epoch, xid, id) > (
        (SELECT feed_epoch FROM bi_rollup_state),
        (SELECT xid FROM bi_rollup_state),
        (SELECT id FROM bi_rollup_state)
    )
    UNION ALL
    SELECT FROM bi_event_corrections
    LIMIT :most
) AS pending
""")


async def standing_since(database: Database, since: datetime) -> Standing:
    """
    Where messages stand of the campaigns since *since*, and of older ones that are not finished.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    given = {
        "since": first_id_at(since, timedelta(0)),
        "most": MAX_CAMPAIGNS,
        "final": [status for status in Status if is_final(RANK[status])],
    }
    async with database.reading(planner=LOOK_UPS) as session:
        counts, awaited, overdue, campaigns = (await session.execute(_STANDING, given)).one()
    return Standing(json.loads(counts or "{}"), awaited, overdue, campaigns == MAX_CAMPAIGNS)


async def count_unstored(database: Database) -> AtMost:
    """How many bodies of the quarantine were not replayed with success, of the newest."""
    scanned = {"scanned": MAX_SCANNED_BODIES}
    return await _at_most(database, _UNSTORED, MAX_QUARANTINED, scanned)


async def count_unconfirmed(database: Database) -> AtMost:
    """How many launches Routee may or may not have accepted."""
    return await _at_most(database, _UNCONFIRMED, MAX_CAMPAIGNS, {})


async def count_pending(database: Database) -> AtMost:
    """How many events, and corrections of events, are not in the roll-ups yet."""
    return await _at_most(database, _PENDING, MAX_PENDING, {})


async def _at_most(database: Database, query: Any, most: int, given: dict[str, Any]) -> AtMost:  # noqa: ANN401
    async with database.reading(planner=LOOK_UPS) as session:
        count = (await session.execute(query, {"most": most + 1, **given})).scalar_one()
    return AtMost(min(count, most), count > most)
