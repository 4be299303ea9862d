"""
Comparing messages with what their events report, in chunks in the order of the messages' ids.

A message is compared if all its events are certainly kept: no event of it was received before the
horizon up to which retention has removed events, by the message's `first_received_at`.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.retention.runs import CHUNK_PLANNER
from app.domain.event import DeliveryEvent
from app.domain.message import MERGES, STATUS_COLUMNS
from app.domain.rebuild import Difference, Projection
from app.domain.retention import MAX_CLOCK_SKEW

#: So that one statement takes a fraction of a second.
CHUNK_MESSAGES: Final = 1000
#: Of messages with very many events fewer are compared at once.
CHUNK_EVENTS: Final = 20_000
#: Callbacks are kept waiting by no more messages than these.
REPAIR_MESSAGES: Final = 200

_PLANNER: Final = {**CHUNK_PLANNER, "enable_hashjoin": "off", "enable_mergejoin": "off"}
#: In the order of the type `message_status`.
_STATUS: Final = (*STATUS_COLUMNS, "status")
_COLUMNS: Final = (*_STATUS, *MERGES)
_NAMES: Final = ", ".join(_COLUMNS)
_EVENT: Final = ", ".join(
    {"payload": "NULL", "payload_dictionary": "0", "payload_reserialised": "false"}.get(it, it)
    for it in DeliveryEvent._fields
)
#: Of `:after` and `:upto`.
IN_CHUNK: Final = "message_tracking_id > :after AND message_tracking_id <= :upto"
_IN_IDS: Final = "message_tracking_id = ANY(CAST(:ids AS text[]))"


def reported(which: str) -> str:
    """The messages that the events of *which* report, under the names of the columns."""
    status = ", ".join(f"(r.greatest_status).{it}" for it in _STATUS)
    return f"""
    SELECT r.message_tracking_id COLLATE "C" AS message_tracking_id, {status},
        {", ".join(f"r.{it}" for it in MERGES)}
    FROM reported_messages(ARRAY(
        SELECT ROW({_EVENT})::callback_event FROM events WHERE {which}
    )) AS r
    """


def _compared(row: str) -> str:
    """The columns of *row*, a missing text of the status as the empty one that it counts as."""
    return ", ".join(
        f"coalesce({row}.{it}, '')" if it in ("detailed_status", "description") else f"{row}.{it}"
        for it in _COLUMNS
    )


_DIFFERS: Final = f"({_compared('m')}) IS DISTINCT FROM ({_compared('e')})"
#: Null as long as retention has removed no event.
_HORIZON: Final = f"""(
    SELECT reached_at + interval '{int(MAX_CLOCK_SKEW.total_seconds())} seconds'
    FROM retention_positions WHERE name = 'removed events'
)"""
_IS_WHOLE: Final = f"coalesce(m.first_received_at >= {_HORIZON}, true)"

_END: Final = text("""
SELECT coalesce(
    LEAST(
        (SELECT message_tracking_id FROM messages WHERE message_tracking_id > :after
            ORDER BY message_tracking_id OFFSET :messages - 1 LIMIT 1),
        (SELECT message_tracking_id FROM events WHERE message_tracking_id > :after
            ORDER BY message_tracking_id OFFSET :events - 1 LIMIT 1)
    ),
    GREATEST(
        (SELECT max(message_tracking_id) FROM messages WHERE message_tracking_id > :after),
        (SELECT max(message_tracking_id) FROM events WHERE message_tracking_id > :after)
    )
)
""")
_EXPECTED_MESSAGES: Final = text("""
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'messages'::regclass
""")
_EACH: Final = ", ".join(
    f"('{it}', to_jsonb(d.stored_{it}) #>> '{{}}', to_jsonb(d.expected_{it}) #>> '{{}}',"
    f" d.stored_{it} IS DISTINCT FROM d.expected_{it})"
    for it in _COLUMNS
)
#: One row: how many messages there are in the chunk, how many of them are left alone because
#: retention may have removed some of their events, and what differs: ids, columns, values.
_COMPARE: Final = text(f"""
WITH expected AS MATERIALIZED ({reported(IN_CHUNK)}),
stored AS MATERIALIZED (
    SELECT m.*, {_IS_WHOLE} AS is_whole FROM messages AS m WHERE {IN_CHUNK}
),
differing AS MATERIALIZED (
    SELECT e.message_tracking_id,
        {", ".join(f"m.{it} AS stored_{it}, e.{it} AS expected_{it}" for it in _COLUMNS)}
    FROM expected AS e JOIN stored AS m USING (message_tracking_id)
    WHERE m.is_whole AND {_DIFFERS}
),
found AS (
    SELECT e.message_tracking_id AS id, 'missing' AS what, NULL AS stored,
        e.status AS expected
    FROM expected AS e WHERE NOT EXISTS (
        SELECT FROM stored AS m WHERE m.message_tracking_id = e.message_tracking_id
    )
    UNION ALL
    SELECT m.message_tracking_id, 'without events', m.status, NULL
    FROM stored AS m WHERE m.is_whole AND NOT EXISTS (
        SELECT FROM expected AS e WHERE e.message_tracking_id = m.message_tracking_id
    )
    UNION ALL
    SELECT d.message_tracking_id, v.name, v.stored, v.expected
    FROM differing AS d
    CROSS JOIN LATERAL (VALUES {_EACH}) AS v (name, stored, expected, differs)
    WHERE v.differs
)
SELECT (SELECT count(*) FROM stored), (SELECT count(*) FROM stored WHERE NOT is_whole),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(
        jsonb_build_object('message_tracking_id', id), what, stored, expected
    ) ORDER BY id), '[]') FROM found)
""")

#: One process learns a campaign's trackingId and binds its messages; a message that is inserted
#: meanwhile would be left out.
_LOCK_CAMPAIGNS: Final = text(f"""
SELECT id FROM campaigns WHERE id IN (
    SELECT campaign_id FROM events
    WHERE {_IN_IDS} AND campaign_id IS NOT NULL AND campaign_tracking_id IS NULL
) ORDER BY id FOR SHARE
""")
_DELTAS: Final = """
INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
SELECT campaign, status, sum(messages) FROM (
    SELECT old_campaign, old_status, -1 FROM repaired WHERE old_campaign IS NOT NULL
    UNION ALL
    SELECT new_campaign, new_status, 1 FROM repaired WHERE new_campaign IS NOT NULL
) AS transitions (campaign, status, messages)
GROUP BY campaign, status HAVING sum(messages) <> 0
"""
_INSERT: Final = text(f"""
WITH expected AS MATERIALIZED ({reported(_IN_IDS)}),
repaired AS (
    INSERT INTO messages AS m (message_tracking_id, {_NAMES}, first_received_at)
    SELECT e.message_tracking_id, {", ".join(f"e.{it}" for it in _COLUMNS)}, (
        SELECT min(received_at) FROM events WHERE message_tracking_id = e.message_tracking_id
    )
    FROM expected AS e
    WHERE NOT EXISTS (SELECT FROM messages WHERE message_tracking_id = e.message_tracking_id)
    ORDER BY e.message_tracking_id
    ON CONFLICT (message_tracking_id) DO NOTHING
    RETURNING NULL AS old_campaign, NULL AS old_status,
        m.campaign_tracking_id AS new_campaign, m.status AS new_status
),
deltas AS ({_DELTAS})
SELECT count(*) FROM repaired
""")
#: In the one order of message rows. The next statement sees all that is committed by then.
_LOCK: Final = text(f"""
SELECT 1 FROM messages WHERE {_IN_IDS}
ORDER BY message_tracking_id COLLATE "C" FOR UPDATE
""")
_REPAIR: Final = text(f"""
WITH expected AS MATERIALIZED ({reported(_IN_IDS)}),
repaired AS (
    UPDATE messages AS m SET
        {", ".join(f"{it} = e.{it}" for it in _COLUMNS)}, updated_at = now()
    FROM expected AS e
    WHERE m.message_tracking_id = e.message_tracking_id AND {_IS_WHOLE} AND {_DIFFERS}
    RETURNING old.campaign_tracking_id AS old_campaign, old.status AS old_status,
        new.campaign_tracking_id AS new_campaign, new.status AS new_status
),
deltas AS ({_DELTAS})
SELECT count(*) FROM repaired
""")


class ComparedChunk(NamedTuple):
    """What the messages of a chunk are compared with their events."""

    examined: int
    #: Retention may have removed some of their events.
    left_alone: int
    differences: Sequence[Difference]


async def expected_messages(database: Database) -> int:
    """About how many messages there are."""
    async with database.reading() as session:
        return int((await session.execute(_EXPECTED_MESSAGES)).scalar_one())


async def end_of_chunk(database: Database, after: str) -> str | None:
    """The last message of the chunk beyond *after*; None if there are no more messages."""
    async with database.reading(planner=_PLANNER) as session:
        given = {"after": after, "messages": CHUNK_MESSAGES, "events": CHUNK_EVENTS}
        end: str | None = await session.scalar(_END, given)
        return end


async def compare_chunk(database: Database, after: str, upto: str) -> ComparedChunk:
    """Compare the messages beyond *after* and not beyond *upto* with their events."""
    # Joins of what is materialized.
    async with database.reading(planner=CHUNK_PLANNER) as session:
        given = {"after": after, "upto": upto}
        examined, left_alone, found = (await session.execute(_COMPARE, given)).one()
    return ComparedChunk(
        examined, left_alone, [Difference(Projection.MESSAGES, *each) for each in found]
    )


async def insert_missing(database: Database, ids: Sequence[str]) -> int:
    """Insert those of the messages *ids* that have no row, from their events; how many."""
    given = {"ids": list(ids)}
    async with database.writing(planner=_PLANNER) as session:
        await session.execute(_LOCK_CAMPAIGNS, given)
        return int((await session.execute(_INSERT, given)).scalar_one())


async def repair(database: Database, ids: Sequence[str]) -> int:
    """Make the messages *ids* what their events report; how many were something else."""
    async with database.writing(planner=_PLANNER) as session:
        await session.execute(_LOCK, {"ids": list(ids)})
        return await repair_locked(session, ids)


async def repair_locked(session: AsyncSession, ids: Sequence[str]) -> int:
    """The same for messages whose rows the transaction of *session* has locked."""
    return int((await session.execute(_REPAIR, {"ids": list(ids)})).scalar_one())
