"""
Walking along the feed's order and removing what was received before a horizon, chunk by chunk.

How far a walk has come is kept, so that the next one does not look again at what is done. Rows are
nearly in the order of their age, but not quite: what was received too late to go now is behind no
mark, and is looked at again by the next walk.
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
from app.domain.feed import BEGINNING, Position

#: So that one transaction takes milliseconds.
CHUNK_ITEMS: Final = 1000


class Walk(NamedTuple):
    """One kind of removal."""

    name: str
    table: str
    #: Which rows it is about, those received too late left out.
    rows: str
    #: What is done to them.
    change: str
    #: Whether the feed loses them.
    removes: bool


_CLEAR: Final = "UPDATE {partition} SET payload = NULL WHERE ctid = ANY(CAST(:rows AS tid[]))"
_DELETE: Final = "DELETE FROM {partition} WHERE ctid = ANY(CAST(:rows AS tid[]))"

RAW: Final = Walk("payloads of events", "events", "payload IS NOT NULL", _CLEAR, removes=False)
EVENTS: Final = Walk("events", "events", "true", _DELETE, removes=True)
RAW_INBOUND: Final = Walk(
    "payloads of inbound_messages",
    "inbound_messages",
    "payload IS NOT NULL",
    _CLEAR,
    removes=False,
)
REPLIES: Final = Walk("inbound_messages", "inbound_messages", "true", _DELETE, removes=True)


class Step(NamedTuple):
    """What one chunk came to."""

    rows: int
    #: Where the next one goes on.
    end: Position
    #: Nothing lies between here and where the walk was to go to.
    is_last: bool
    #: Some rows were held by others, so the next step is about the same stretch.
    is_held: bool


_STRETCH: Final = """
(feed_epoch, xid, id) > (CAST(:e1 AS smallint), CAST(:x1 AS xid8), CAST(:i1 AS bigint))
AND (feed_epoch, xid, id) <= (CAST(:e2 AS smallint), CAST(:x2 AS xid8), CAST(:i2 AS bigint))
"""
_MARK: Final = text("SELECT feed_epoch, xid, id FROM retention_marks WHERE name = :name")
_SET_MARK: Final = text("""
INSERT INTO retention_marks (name, feed_epoch, xid, id)
VALUES (:name, CAST(:feed_epoch AS smallint), CAST(:xid AS xid8), CAST(:id AS bigint))
ON CONFLICT (name) DO UPDATE SET
    feed_epoch = excluded.feed_epoch, xid = excluded.xid, id = excluded.id, reached_at = now()
""")
_END: Final = f"""
SELECT feed_epoch, xid, id FROM {{table}} WHERE {_STRETCH}
ORDER BY feed_epoch, xid, id OFFSET :skipped LIMIT 1
"""
_LOCKED: Final = f"""
SELECT CAST(CAST(tableoid AS regclass) AS text) AS partition, ctid, feed_epoch, xid, id
FROM {{table}}
WHERE {_STRETCH} AND received_at < :before AND {{rows}}
FOR UPDATE SKIP LOCKED
"""
#: The first that must stay for now.
_YOUNG: Final = f"""
SELECT feed_epoch, xid, id FROM {{table}}
WHERE {_STRETCH} AND received_at >= :before AND {{rows}}
ORDER BY feed_epoch, xid, id LIMIT 1
"""
_IS_LEFT: Final = f"""
SELECT EXISTS (
    SELECT FROM {{table}} WHERE {_STRETCH} AND received_at < :before AND {{rows}}
)
"""


async def walk_on(
    database: Database,
    walk: Walk,
    *,
    before: datetime,
    upto: Position,
    after: Position | None = None,
) -> Step:
    """
    Do one chunk of what was received *before*, from *after* on, and not beyond *upto*.

    *after* is where the last step ended; None: where the walks before this one have come to.
    """
    async with database.writing() as session:
        mark = await _mark_of(session, walk)
        after = mark if after is None else after
        if after >= upto:
            return Step(0, after, is_last=True, is_held=False)
        end = await _end_of_chunk(session, walk, after, upto)
        stretch = _bounds(after, end) | {"before": before}
        rows = await _locked(session, walk, stretch)
        if walk.removes and rows:
            await raise_floor(session, max(Position(*row[2:]) for row in rows))
        await _change(session, walk, rows)
        left = text(_IS_LEFT.format(table=walk.table, rows=walk.rows))
        if await session.scalar(left, stretch):
            return Step(len(rows), after, is_last=False, is_held=True)
        if after == mark:  # nothing before it has to be looked at again
            reached = await _done_upto(session, walk, stretch, end)
            await session.execute(_SET_MARK, {"name": walk.name, **reached._asdict()})
        return Step(len(rows), end, is_last=end == upto, is_held=False)


async def _mark_of(session: AsyncSession, walk: Walk) -> Position:
    row = (await session.execute(_MARK, {"name": walk.name})).one_or_none()
    return BEGINNING if row is None else Position._make(row)


async def _end_of_chunk(
    session: AsyncSession, walk: Walk, after: Position, upto: Position
) -> Position:
    parameters = _bounds(after, upto) | {"skipped": CHUNK_ITEMS - 1}
    row = (await session.execute(text(_END.format(table=walk.table)), parameters)).one_or_none()
    return upto if row is None else Position._make(row)


async def _done_upto(
    session: AsyncSession, walk: Walk, stretch: dict[str, Any], end: Position
) -> Position:
    """*end*, or the place before the first row of *stretch* that was received too late."""
    query = text(_YOUNG.format(table=walk.table, rows=walk.rows))
    row = (await session.execute(query, stretch)).one_or_none()
    if row is None:
        return end
    young = Position._make(row)
    return young._replace(id=young.id - 1)


async def _locked(
    session: AsyncSession, walk: Walk, stretch: dict[str, Any]
) -> list[tuple[Any, ...]]:
    query = text(_LOCKED.format(table=walk.table, rows=walk.rows))
    return sorted(tuple(row) for row in await session.execute(query, stretch))


async def _change(session: AsyncSession, walk: Walk, rows: Iterable[tuple[Any, ...]]) -> None:
    """By the places of the rows, which stay while their locks are held."""
    for partition, members in groupby(rows, key=itemgetter(0)):
        statement = text(walk.change.format(partition=partition))
        await session.execute(statement, {"rows": [row[1] for row in members]})


def _bounds(after: Position, upto: Position) -> dict[str, Any]:
    e1, x1, i1 = after
    e2, x2, i2 = upto
    return {"e1": e1, "x1": x1, "i1": i1, "e2": e2, "x2": x2, "i2": i2}
