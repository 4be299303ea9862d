"""
Purges: what was received before a horizon is removed chunk by chunk.

Events, replies and notices are scanned in the order of the feed. The position that a purge has
reached is stored, so that the next one goes on there. Rows are nearly in the order of their age,
but not quite: the stored position stays before the first row that was received too late to go now.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.feed.positions import raise_floor
from app.db.retention.runs import CHUNK_PLANNER
from app.domain.feed import BEGINNING, Position

#: So that one transaction takes milliseconds.
CHUNK_ITEMS: Final = 1000
#: Bodies in the quarantine, and payloads of campaigns' progress, may be large.
BODIES_CHUNK_ITEMS: Final = 200
#: Of 8 KiB, about 30 messages each.
BLOCKS: Final = 32


class Purge(NamedTuple):
    """One kind of purge."""

    name: str
    table: str
    #: Which rows it is about, apart from their age.
    rows: str
    #: What is done to them.
    change: str
    #: Whether the rows are removed from the feed.
    removes: bool


_CLEAR: Final = "UPDATE {partition} SET payload = NULL WHERE ctid = ANY(CAST(:rows AS tid[]))"
_DELETE: Final = "DELETE FROM {partition} WHERE ctid = ANY(CAST(:rows AS tid[]))"

#: A rebuild cannot count the hours of these months again.
_DELETE_EVENTS: Final = f"""
WITH gone AS ({_DELETE} RETURNING occurred_at)
INSERT INTO removed_event_months (month)
SELECT DISTINCT date_trunc('month', occurred_at AT TIME ZONE 'UTC') FROM gone
ON CONFLICT DO NOTHING
"""

RAW: Final = Purge("payloads of events", "events", "payload IS NOT NULL", _CLEAR, removes=False)
EVENTS: Final = Purge("events", "events", "true", _DELETE_EVENTS, removes=True)
RAW_INBOUND: Final = Purge(
    "payloads of inbound_messages",
    "inbound_messages",
    "payload IS NOT NULL",
    _CLEAR,
    removes=False,
)
REPLIES: Final = Purge("inbound_messages", "inbound_messages", "true", _DELETE, removes=True)
NOTICES: Final = Purge("notices", "notices", "true", _DELETE, removes=True)


class PurgedChunk(NamedTuple):
    """What became of one chunk."""

    rows: int
    #: Where the next chunk begins.
    end: Position
    #: Nothing is left up to the position that was asked for.
    is_last: bool
    #: Other transactions hold some of the rows, so that the next chunk is the same range.
    is_held: bool


_RANGE: Final = """
(feed_epoch, xid, id) > (CAST(:e1 AS smallint), CAST(:x1 AS xid8), CAST(:i1 AS bigint))
AND (feed_epoch, xid, id) <= (CAST(:e2 AS smallint), CAST(:x2 AS xid8), CAST(:i2 AS bigint))
"""
_REACHED: Final = text("SELECT feed_epoch, xid, id FROM retention_positions WHERE name = :name")
_SET_REACHED: Final = text("""
INSERT INTO retention_positions (name, feed_epoch, xid, id)
VALUES (:name, CAST(:feed_epoch AS smallint), CAST(:xid AS xid8), CAST(:id AS bigint))
ON CONFLICT (name) DO UPDATE SET
    feed_epoch = excluded.feed_epoch, xid = excluded.xid, id = excluded.id, reached_at = now()
""")
_END: Final = f"""
SELECT feed_epoch, xid, id FROM {{table}} WHERE {_RANGE}
ORDER BY feed_epoch, xid, id OFFSET :skipped LIMIT 1
"""
_LOCKED: Final = f"""
SELECT CAST(CAST(tableoid AS regclass) AS text) AS partition, ctid, feed_epoch, xid, id
FROM {{table}}
WHERE {_RANGE} AND received_at < :before AND {{rows}}
FOR UPDATE SKIP LOCKED
"""
_FIRST_TO_STAY: Final = f"""
SELECT feed_epoch, xid, id FROM {{table}}
WHERE {_RANGE} AND received_at >= :before AND {{rows}}
ORDER BY feed_epoch, xid, id LIMIT 1
"""
_IS_LEFT: Final = f"""
SELECT EXISTS (
    SELECT FROM {{table}} WHERE {_RANGE} AND received_at < :before AND {{rows}}
)
"""


async def purge_chunk(
    database: Database,
    purge: Purge,
    *,
    before: datetime,
    upto: Position,
    after: Position | None = None,
) -> PurgedChunk:
    """
    Purge one chunk of what was received *before*, beyond *after* and not beyond *upto*.

    *after* is the end of the last chunk, None for the position that earlier purges have reached.
    """
    async with database.writing(planner=CHUNK_PLANNER) as session:
        reached = await _reached_by(session, purge)
        after = reached if after is None else after
        if after >= upto:
            return PurgedChunk(0, after, is_last=True, is_held=False)
        end = await _end_of_chunk(session, purge, after, upto)
        chunk = _range(after, end) | {"before": before}
        rows = await _locked(session, purge, chunk)
        if purge.removes and rows:
            await raise_floor(session, max(Position(*row[2:]) for row in rows))
        await _change(session, purge, rows)
        left = text(_IS_LEFT.format(table=purge.table, rows=purge.rows))
        if await session.scalar(left, chunk):
            return PurgedChunk(len(rows), after, is_last=False, is_held=True)
        if after == reached:  # nothing before it has to be scanned again
            done = await _done_upto(session, purge, chunk, end)
            await session.execute(_SET_REACHED, {"name": purge.name, **done._asdict()})
        return PurgedChunk(len(rows), end, is_last=end == upto, is_held=False)


async def _reached_by(session: AsyncSession, purge: Purge) -> Position:
    row = (await session.execute(_REACHED, {"name": purge.name})).one_or_none()
    return BEGINNING if row is None else Position._make(row)


async def _end_of_chunk(
    session: AsyncSession, purge: Purge, after: Position, upto: Position
) -> Position:
    parameters = _range(after, upto) | {"skipped": CHUNK_ITEMS - 1}
    row = (await session.execute(text(_END.format(table=purge.table)), parameters)).one_or_none()
    return upto if row is None else Position._make(row)


async def _done_upto(
    session: AsyncSession, purge: Purge, chunk: dict[str, Any], end: Position
) -> Position:
    """*end*, or the position before the first row of *chunk* that was received too late."""
    query = text(_FIRST_TO_STAY.format(table=purge.table, rows=purge.rows))
    row = (await session.execute(query, chunk)).one_or_none()
    if row is None:
        return end
    first = Position._make(row)
    return first._replace(id=first.id - 1)


async def _locked(
    session: AsyncSession, purge: Purge, chunk: dict[str, Any]
) -> list[tuple[Any, ...]]:
    query = text(_LOCKED.format(table=purge.table, rows=purge.rows))
    return sorted(tuple(row) for row in await session.execute(query, chunk))


async def _change(session: AsyncSession, purge: Purge, rows: Iterable[tuple[Any, ...]]) -> None:
    """Change *rows* by their ctids, which do not change while the rows are locked."""
    for partition, members in groupby(rows, key=itemgetter(0)):
        statement = text(purge.change.format(partition=partition))
        await session.execute(statement, {"rows": [row[1] for row in members]})


def _range(after: Position, upto: Position) -> dict[str, Any]:
    e1, x1, i1 = after
    e2, x2, i2 = upto
    return {"e1": e1, "x1": x1, "i1": i1, "e2": e2, "x2": x2, "i2": i2}


_SIZE: Final = text("SELECT pg_relation_size('messages') / current_setting('block_size')::bigint")
#: In the one order of message rows. The locks come first: an event that is committed meanwhile, and
#: changes nothing of its message, is visible to the second statement only.
_LOCK_MESSAGES: Final = text("""
SELECT message_tracking_id FROM messages
WHERE ctid >= CAST(:first AS tid) AND ctid < CAST(:beyond AS tid) AND updated_at < :before
ORDER BY message_tracking_id COLLATE "C"
FOR UPDATE SKIP LOCKED
""")
#: The counts of campaigns keep those that go.
DELETE_MESSAGES: Final = text("""
WITH gone AS (
    DELETE FROM messages m
    WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
        AND NOT EXISTS (SELECT FROM events e WHERE e.message_tracking_id = m.message_tracking_id)
    RETURNING message_tracking_id, status,
        coalesce(campaign_tracking_id, 'ours:' || campaign_id, '') AS campaign_key
),
noted AS (
    INSERT INTO removed_messages AS r (campaign_key, status, messages)
    SELECT campaign_key, status, count(*) FROM gone GROUP BY campaign_key, status
    ON CONFLICT (campaign_key, status) DO UPDATE SET messages = r.messages + excluded.messages
)
SELECT message_tracking_id FROM gone
""")
#: The events of each message are looked up by key: a join would read the events of all months for
#: each chunk, which the planner takes for cheaper than a thousand lookups in every month.
MESSAGES_PLANNER: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
#: The roll-ups keep what they counted of a message; this row only says how to count it anew.
_UNCOUNT: Final = text("""
DELETE FROM bi_counted_messages WHERE message_tracking_id = ANY(CAST(:ids AS text[]))
""")


async def blocks_of_messages(database: Database) -> int:
    """How many blocks the table has. A scan by blocks needs no index on the time of change."""
    async with database.reading() as session:
        return int((await session.execute(_SIZE)).scalar_one())


async def purge_messages(database: Database, *, first_block: int, before: datetime) -> int:
    """
    Remove messages without events from `BLOCKS` blocks, last changed *before*; how many.

    The counts of campaigns stay as they are.
    """
    where = {"first": (first_block, 0), "beyond": (first_block + BLOCKS, 0), "before": before}
    async with database.writing(planner=MESSAGES_PLANNER) as session:
        ids = (await session.scalars(_LOCK_MESSAGES, where)).all()
        if not ids:
            return 0
        gone = (await session.scalars(DELETE_MESSAGES, {"ids": list(ids)})).all()
        await session.execute(_UNCOUNT, {"ids": list(gone)})
        return len(gone)


_DELETE_BODIES: Final = text("""
WITH old AS (
    SELECT id FROM quarantine WHERE last_received_at < :before
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
)
DELETE FROM quarantine WHERE id IN (SELECT id FROM old) RETURNING 1
""")


async def purge_quarantine(database: Database, *, before: datetime) -> int:
    """Remove some bodies that were last received *before*; how many."""
    async with database.writing() as session:
        given = {"before": before, "most": BODIES_CHUNK_ITEMS}
        return len((await session.execute(_DELETE_BODIES, given)).all())


_CLEAR_PROGRESS: Final = text("""
WITH old AS (
    SELECT id FROM campaign_progress WHERE received_at < :before AND payload IS NOT NULL
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE campaign_progress SET payload = NULL WHERE id IN (SELECT id FROM old) RETURNING 1
""")
_DELETE_PROGRESS: Final = text("""
WITH old AS (
    SELECT id FROM campaign_progress WHERE received_at < :before
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
)
DELETE FROM campaign_progress WHERE id IN (SELECT id FROM old) RETURNING 1
""")


async def purge_progress(database: Database, *, before: datetime, payloads_only: bool) -> int:
    """Remove some reports of campaigns received *before*, or their payloads; how many."""
    async with database.writing() as session:
        given = {"before": before, "most": BODIES_CHUNK_ITEMS}
        purge = _CLEAR_PROGRESS if payloads_only else _DELETE_PROGRESS
        return len((await session.execute(purge, given)).all())
