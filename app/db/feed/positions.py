"""
Positions in the feed: how far it can be served, where it begins, and where an instant is.

The order is `(feed_epoch, xid, id)`. Served are items before the `Horizon`, that is before the
oldest transaction that is still running: no item can appear there any more.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    SmallInteger,
    TableClause,
    and_,
    column,
    exists,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.tables import EventRow, InboundMessageRow, NoticeRow, TransactionId
from app.domain.event import UNKNOWN_TIME
from app.domain.feed import BEGINNING, Position
from app.errors import CursorExpired

#: `received_at` is when a transaction began; the item may be committed so much later. Transactions
#: of ours are cut off after a few seconds.
COMMIT_DELAY: Final = timedelta(minutes=1)

PositionsQuery = CompoundSelect[int, int, int, datetime]
FeedTable = type[EventRow] | type[InboundMessageRow] | type[NoticeRow]
FEED_TABLES: Final[tuple[FeedTable, ...]] = (EventRow, InboundMessageRow, NoticeRow)


class Horizon(NamedTuple):
    """Served are items of an older epoch, and those of this one below `xmin`."""

    epoch: int
    #: The oldest transaction that still runs, anywhere in the cluster.
    xmin: int
    #: The next transaction id.
    xmax: int


class FeedRange(NamedTuple):
    """The items beyond *after*, before the horizon, and not beyond *until*."""

    after: Position
    horizon: Horizon
    until: Position | None = None

    def contains(self, table: FeedTable) -> ColumnElement[bool]:
        """Whether a row of *table* is in it."""
        position = tuple_(*in_order(table))
        conditions = [position > _literal(self.after), _is_served(table, self.horizon)]
        if self.until is not None:
            conditions.append(position <= _literal(self.until))
        return and_(*conditions)


class _Receipt(NamedTuple):
    """Position and time of an item."""

    position: Position
    received_at: datetime


_REPLAYS: Final = TableClause("feed_replays", column("feed_epoch"), column("xid"))
_FORGET_REPLAYS: Final = text("""
DELETE FROM feed_replays AS r USING feed_floor AS f
WHERE (r.feed_epoch, r.xid) < (f.feed_epoch, f.xid)
""")
_HORIZON: Final = text("""
SELECT epoch, pg_snapshot_xmin(pg_current_snapshot()), pg_snapshot_xmax(pg_current_snapshot())
FROM feed_state
""")
_FLOOR: Final = text("SELECT feed_epoch, xid, id FROM feed_floor")
_RAISE_FLOOR: Final = text("""
UPDATE feed_floor
SET feed_epoch = raised.feed_epoch, xid = raised.xid, id = raised.id
FROM (
    VALUES (CAST(:feed_epoch AS smallint), CAST(:xid AS xid8), CAST(:id AS bigint))
) AS raised (feed_epoch, xid, id)
WHERE (feed_floor.feed_epoch, feed_floor.xid, feed_floor.id)
    < (raised.feed_epoch, raised.xid, raised.id)
""")


async def horizon_of(session: AsyncSession) -> Horizon:
    """How far the feed can be served now. It holds for all later statements, too."""
    return Horizon._make((await session.execute(_HORIZON)).one())


async def read_horizon(database: Database) -> Horizon:
    """How far the feed can be served now."""
    async with database.reading() as session:
        return await horizon_of(session)


async def newest_position(database: Database) -> Position:
    """The position of the last item that can be served now."""
    async with database.reading() as session:
        return await newest_before(session, await horizon_of(session))


async def newest_before(session: AsyncSession, horizon: Horizon) -> Position:
    """
    The position of the last item before *horizon*.

    Never that of the horizon itself: PostgreSQL may use transaction ids without rows again after a
    crash.
    """
    last = await _last_before(session, horizon)
    return BEGINNING if last is None else last.position


async def oldest_position(database: Database) -> Position:
    """The position beyond which nothing has been removed."""
    async with database.reading() as session:
        return await floor_of(session)


async def position_before(database: Database, instant: datetime) -> Position:
    """
    A position before all items that were received at or after *instant*, and not before the floor.

    Items are nearly in the order of `received_at`, but not quite: hence `COMMIT_DELAY` earlier. The
    position is found by bisection, as an index on `received_at` would make each callback dearer.
    """
    async with database.reading() as session:
        found = await _last_received_before(session, instant)
        return max(found, await floor_of(session))


async def last_received_before(database: Database, instant: datetime) -> Position:
    """
    The same without regard to the floor: nearly all items up to there were received before.

    For retention: a floor that one kind of item has raised says nothing about the age of another.
    """
    async with database.reading() as session:
        return await _last_received_before(session, instant)


async def floor_of(session: AsyncSession) -> Position:
    """The greatest position from which an item was removed."""
    return Position._make((await session.execute(_FLOOR)).one())


async def refuse_expired(session: AsyncSession, after: Position) -> None:
    """
    Make sure that nothing beyond *after* had been removed when it was read.

    Raises:
        CursorExpired: something may have been.
    """
    if after < await floor_of(session):
        raise CursorExpired(
            "Items that you have not read were removed when their time of retention had passed. "
            "Go on with after=<instant>, the `receivedAt` of the last item that you processed: "
            "everything received from then on that is kept will come, some of it again."
        )


async def raise_floor(session: AsyncSession, position: Position) -> None:
    """
    Record that something up to *position* is being removed.

    Call it in the transaction that removes it, or before. Items are only removed up to
    `position_before` the horizon of retention: a client that resumes there misses nothing.
    """
    await session.execute(_RAISE_FLOOR, position._asdict())


async def forget_replays(database: Database) -> None:
    """Remove what is known of replays below the floor, where no position is searched for."""
    async with database.writing() as session:
        await session.execute(_FORGET_REPLAYS)


def first_query(within: FeedRange) -> PositionsQuery:
    """Position and time of the first row of each table in the range, replays left out."""
    return _of_each_table(
        lambda table: (
            select(table.feed_epoch, table.xid, table.id, table.received_at)
            .where(within.contains(table), _is_no_replay(table))
            .order_by(*in_order(table))
        )
    )


def last_query(horizon: Horizon, *, with_replays: bool = True) -> PositionsQuery:
    """Position and time of the last row of each table before *horizon*."""
    return _of_each_table(
        lambda table: (
            select(table.feed_epoch, table.xid, table.id, table.received_at)
            .where(_is_served(table, horizon))
            .where(*(() if with_replays else (_is_no_replay(table),)))
            .order_by(*(column.desc() for column in in_order(table)))
        )
    )


def _of_each_table(
    query_of: Callable[[FeedTable], Select[int, int, int, datetime]],
) -> PositionsQuery:
    queries = (query_of(table).limit(1).subquery() for table in FEED_TABLES)
    return union_all(*(query.select() for query in queries))


def positions_of(table: FeedTable) -> Select[int, int, int]:
    """The positions of all rows of *table*."""
    return select(table.feed_epoch, table.xid, table.id)


def in_order(table: FeedTable) -> tuple[ColumnElement[int], ...]:
    """The columns that the feed is ordered by."""
    return (table.feed_epoch.expression, table.xid.expression, table.id.expression)


def position_in(row: EventRow | InboundMessageRow) -> Position:
    """The position of a row."""
    return Position(row.feed_epoch, row.xid, row.id)


def _literal(position: Position) -> ColumnElement[tuple[int, int, int]]:
    epoch, xid, number = position
    return tuple_(
        literal(epoch, SmallInteger), literal(xid, TransactionId), literal(number, BigInteger)
    )


def _is_served(table: FeedTable, horizon: Horizon) -> ColumnElement[bool]:
    end = tuple_(literal(horizon.epoch, SmallInteger), literal(horizon.xmin, TransactionId))
    return tuple_(table.feed_epoch, table.xid) < end


def _is_no_replay(table: FeedTable) -> ColumnElement[bool]:
    """
    Whether a row of *table* was received after the rows in front of it.

    What a replay of the quarantine stores has the time when it first came, at the end of the feed.
    """
    return ~exists().where(_REPLAYS.c.feed_epoch == table.feed_epoch, _REPLAYS.c.xid == table.xid)


async def _last_received_before(session: AsyncSession, instant: datetime) -> Position:
    before = max(instant, UNKNOWN_TIME) - COMMIT_DELAY
    now = await horizon_of(session)
    for epoch in range(now.epoch, 0, -1):
        first = await _first_beyond(session, Position(epoch, 0, 0), now)
        if first is not None and first.received_at < before:
            return await _bisected(session, first, now, before=before)
    return BEGINNING


async def _bisected(
    session: AsyncSession, first: _Receipt, now: Horizon, *, before: datetime
) -> Position:
    """An item of the epoch of *first* that was received *before*, where the next one was not."""
    epoch = first.position.feed_epoch
    end = now if epoch == now.epoch else Horizon(epoch + 1, 0, 0)
    last = await _last_before(session, end, with_replays=False)
    if last is None or last.received_at < before:
        return first.position if last is None else last.position
    found, xid_after = first.position, last.position.xid
    while xid_after - found.xid > 1:
        middle = (found.xid + xid_after) // 2
        item = await _first_beyond(session, Position(epoch, middle, 0), now)
        if item is not None and item.received_at < before:
            found = item.position
        else:
            xid_after = middle
    return found


async def _first_beyond(
    session: AsyncSession, after: Position, horizon: Horizon
) -> _Receipt | None:
    return min(await _receipts(session, first_query(FeedRange(after, horizon))), default=None)


async def _last_before(
    session: AsyncSession, horizon: Horizon, *, with_replays: bool = True
) -> _Receipt | None:
    query = last_query(horizon, with_replays=with_replays)
    return max(await _receipts(session, query), default=None)


async def _receipts(session: AsyncSession, query: PositionsQuery) -> list[_Receipt]:
    return [_Receipt(Position(*row[:3]), row[3]) for row in await session.execute(query)]
