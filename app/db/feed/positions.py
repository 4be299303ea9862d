"""
Places in the feed: how far it can be served, where it begins, and where an instant is.

The order is `(feed_epoch, xid, id)`. Served is what lies before the `Horizon`, that is before the
oldest transaction that is still running: nothing can appear there any more.
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
    and_,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.tables import EventRow, InboundMessageRow, TransactionId
from app.domain.event import UNKNOWN_TIME
from app.domain.feed import BEGINNING, Position
from app.errors import CursorExpired

#: `received_at` is when a transaction began, which may be well before it took its place in the
#: order. Ours are cut off after a few seconds.
TAKEN_BACK: Final = timedelta(minutes=1)

MarksQuery = CompoundSelect[int, int, int, datetime]
FeedTable = type[EventRow] | type[InboundMessageRow]
FEED_TABLES: Final[tuple[FeedTable, ...]] = (EventRow, InboundMessageRow)


class Horizon(NamedTuple):
    """Served is what lies in an older epoch than this one, or below `xmin`."""

    epoch: int
    #: The oldest transaction that still runs, anywhere in the cluster.
    xmin: int
    #: The first transaction id that is not taken yet.
    xmax: int


class Stretch(NamedTuple):
    """What lies beyond *after*, before the horizon, and not beyond *until*."""

    after: Position
    horizon: Horizon
    until: Position | None = None

    def has(self, table: FeedTable) -> ColumnElement[bool]:
        """Whether a row of *table* lies in it."""
        found = and_(_place(table) > _bound(self.after), _is_served(table, self.horizon))
        return found if self.until is None else and_(found, _place(table) <= _bound(self.until))


class _Mark(NamedTuple):
    """An item, by where it is and when it came."""

    position: Position
    received_at: datetime


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
    """Up to where the feed can be served now; it stays true for whatever is asked later."""
    return Horizon._make((await session.execute(_HORIZON)).one())


async def read_horizon(database: Database) -> Horizon:
    """Up to where the feed can be served now."""
    async with database.reading() as session:
        return await horizon_of(session)


async def newest_position(database: Database) -> Position:
    """The place of the last item that can be served now."""
    async with database.reading() as session:
        return await newest_before(session, await horizon_of(session))


async def newest_before(session: AsyncSession, horizon: Horizon) -> Position:
    """
    The place of the last item before *horizon*.

    An item's and never that of the horizon itself: transaction ids that left nothing behind can be
    given out again after a crash.
    """
    mark = await _last_before(session, horizon)
    return BEGINNING if mark is None else mark.position


async def oldest_position(database: Database) -> Position:
    """The place beyond which nothing has been removed."""
    async with database.reading() as session:
        return await floor_of(session)


async def position_before(database: Database, instant: datetime) -> Position:
    """
    A place beyond which everything lies that was received at or after *instant*.

    Items are nearly in the order of `received_at`, but not quite: hence a place `TAKEN_BACK`
    earlier. It is found by halving, because an index on `received_at` would cost each callback.
    Nobody can read from before the floor, so it is not before that either.
    """
    async with database.reading() as session:
        found = await _last_received_before(session, instant)
        return max(found, await floor_of(session))


async def last_received_before(database: Database, instant: datetime) -> Position:
    """
    The same, wherever the floor is: up to there, nearly all was received before *instant*.

    What retention may go through. The floor, which one kind of item has raised, says nothing about
    the age of another kind.
    """
    async with database.reading() as session:
        return await _last_received_before(session, instant)


async def floor_of(session: AsyncSession) -> Position:
    """The greatest place from which something was removed."""
    return Position._make((await session.execute(_FLOOR)).one())


async def refuse_expired(session: AsyncSession, after: Position) -> None:
    """
    Make sure that nothing beyond *after* had been removed when it was read.

    Raises:
        CursorExpired: it may have been.
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

    In the transaction that removes it, or before. Only what lies up to `position_before` the
    horizon of retention should be removed, so that no one who resumes there misses what is kept.
    """
    await session.execute(_RAISE_FLOOR, position._asdict())


def first_query(stretch: Stretch) -> MarksQuery:
    """Place and time of the first row of each table in *stretch*."""
    return _of_each_table(
        lambda table: (
            select(table.feed_epoch, table.xid, table.id, table.received_at)
            .where(stretch.has(table))
            .order_by(*in_order(table))
        )
    )


def last_query(horizon: Horizon) -> MarksQuery:
    """Place and time of the last row of each table before *horizon*."""
    return _of_each_table(
        lambda table: (
            select(table.feed_epoch, table.xid, table.id, table.received_at)
            .where(_is_served(table, horizon))
            .order_by(*(column.desc() for column in in_order(table)))
        )
    )


def _of_each_table(
    query_of: Callable[[FeedTable], Select[int, int, int, datetime]],
) -> MarksQuery:
    queries = (query_of(table).limit(1).subquery() for table in FEED_TABLES)
    return union_all(*(query.select() for query in queries))


def places_of(table: FeedTable) -> Select[int, int, int]:
    """The places of all rows of *table*."""
    return select(table.feed_epoch, table.xid, table.id)


def in_order(table: FeedTable) -> tuple[ColumnElement[int], ...]:
    """By what the feed is ordered."""
    return (table.feed_epoch.expression, table.xid.expression, table.id.expression)


def position_in(row: EventRow | InboundMessageRow) -> Position:
    """The place of a row."""
    return Position(row.feed_epoch, row.xid, row.id)


def _place(table: FeedTable) -> ColumnElement[tuple[int, int, int]]:
    return tuple_(*in_order(table))


def _bound(position: Position) -> ColumnElement[tuple[int, int, int]]:
    epoch, xid, number = position
    return tuple_(
        literal(epoch, SmallInteger), literal(xid, TransactionId), literal(number, BigInteger)
    )


def _is_served(table: FeedTable, horizon: Horizon) -> ColumnElement[bool]:
    bound = tuple_(literal(horizon.epoch, SmallInteger), literal(horizon.xmin, TransactionId))
    return tuple_(table.feed_epoch, table.xid) < bound


async def _last_received_before(session: AsyncSession, instant: datetime) -> Position:
    return await _searched(session, before=max(instant, UNKNOWN_TIME) - TAKEN_BACK)


async def _searched(session: AsyncSession, *, before: datetime) -> Position:
    """The place of an item received earlier than *before*, where the next one was not."""
    now = await horizon_of(session)
    for epoch in range(now.epoch, 0, -1):
        first = await _first_beyond(session, Position(epoch, 0, 0), now)
        if first is not None and first.received_at < before:
            return await _halved(session, first, now, before=before)
    return BEGINNING


async def _halved(
    session: AsyncSession, first: _Mark, now: Horizon, *, before: datetime
) -> Position:
    """The same in the epoch of its *first* item, which was received earlier."""
    epoch = first.position.feed_epoch
    last = await _last_before(session, now if epoch == now.epoch else Horizon(epoch + 1, 0, 0))
    if last is None or last.received_at < before:
        return first.position if last is None else last.position
    found, xid_after = first.position, last.position.xid
    while xid_after - found.xid > 1:
        middle = (found.xid + xid_after) // 2
        mark = await _first_beyond(session, Position(epoch, middle, 0), now)
        if mark is not None and mark.received_at < before:
            found = mark.position
        else:
            xid_after = middle
    return found


async def _first_beyond(session: AsyncSession, after: Position, horizon: Horizon) -> _Mark | None:
    return min(await _marks(session, first_query(Stretch(after, horizon))), default=None)


async def _last_before(session: AsyncSession, horizon: Horizon) -> _Mark | None:
    return max(await _marks(session, last_query(horizon)), default=None)


async def _marks(session: AsyncSession, query: MarksQuery) -> list[_Mark]:
    return [_Mark(Position(*row[:3]), row[3]) for row in await session.execute(query)]
