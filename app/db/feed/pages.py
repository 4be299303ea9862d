"""
Reading the feed: status events, inbound messages and notices in one order that never changes.

A part of a page is read in several statements. Items before the horizon of the first one do not
change any more, so that all of them see the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    false,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from app.db.database import Database
from app.db.feed.positions import (
    FeedRange,
    FeedTable,
    horizon_of,
    in_order,
    newest_before,
    position_in,
    positions_of,
    refuse_expired,
)
from app.db.inbound_messages import Reply
from app.db.tables import CampaignRow, EventRow, InboundMessageRow, MessageRow, NoticeRow
from app.domain.event import UNKNOWN_TIME
from app.domain.feed import FeedItemType, Position
from app.domain.history import Effect, effects_of
from app.domain.merge import greatest, least
from app.domain.status import Status, status_of

#: Planning a statement for all months takes longer than running it: each connection plans it once.
#: It may do so while the tables are empty. Without the other two, the plan would then scan and sort
#: them instead of following the index of the feed, for as long as the connection lives.
PLANNER: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_sort": "off",
}
#: How many items are read at once: they take the event loop steps of 1 to 2 ms.
PART_ITEMS: Final = 200
#: How many items one part of a page scans for those of a campaign.
MAX_SCANNED_ITEMS: Final = 10_000


class CampaignKeys(NamedTuple):
    """The ids of a campaign: a callback through its token need not name its trackingId."""

    tracking_id: str | None
    campaign_id: UUID | None


class FeedFilter(NamedTuple):
    """Which items are wanted."""

    kinds: tuple[FeedItemType, ...] = tuple(FeedItemType)
    #: Items of one of them; empty for all items.
    campaigns: tuple[CampaignKeys, ...] = ()

    @property
    def sources(self) -> tuple["FeedSource", ...]:
        """Where the wanted items are."""
        tables = [FeedSource(_TABLES[kind]) for kind in self.kinds if kind in _TABLES]
        notices = [FeedSource(NoticeRow, kind) for kind in self.kinds if kind not in _TABLES]
        is_every_notice = len(notices) == len(FeedItemType) - len(_TABLES)
        return (*tables, *([FeedSource(NoticeRow)] if is_every_notice else notices))


class FeedSource(NamedTuple):
    """A table that has items, and which of them are wanted."""

    table: FeedTable
    #: Of notices: only those of this type.
    kind: FeedItemType | None = None


class FeedEvent(NamedTuple):
    """The columns of an event that the feed shows."""

    feed_epoch: int
    xid: int
    id: int
    message_tracking_id: str
    occurred_at: datetime
    received_at: datetime
    source: int
    status_key: str
    provider_status: str
    detailed_status: str | None
    description: str | None
    recipient: str | None
    price: Decimal | None


class FeedNotice(NamedTuple):
    """The columns of a notice that the feed shows."""

    feed_epoch: int
    xid: int
    id: int
    type: str
    message_tracking_id: str | None
    received_at: datetime
    campaign_id: UUID | None
    data: dict[str, Any]


class StatusItem(NamedTuple):
    """A status event."""

    position: Position
    event: FeedEvent
    #: That of the event, else that of its message.
    campaign_tracking_id: str | None
    #: What it did to its message, given all events of the message before it in the feed.
    effect: Effect
    #: The current status of the message; None if the message was removed.
    message_status: Status | None


class InboundItem(NamedTuple):
    """A recipient's reply."""

    position: Position
    reply: Reply


class NoticeItem(NamedTuple):
    """What the service itself announces."""

    position: Position
    notice: "FeedNotice"
    #: That of the notice, else that of its campaign.
    campaign_tracking_id: str | None


Item = StatusItem | InboundItem | NoticeItem


@dataclass(frozen=True, eq=False)
class FeedPage:
    """Some items, and the position up to which the feed was read for them."""

    items: Sequence[Item]
    end: Position
    #: Whether nothing more could be served when it was read.
    is_last: bool


class _FeedRow(NamedTuple):
    """An event, a reply or a notice; with columns of the message that the former are about."""

    position: Position
    row: FeedEvent | InboundMessageRow | FeedNotice
    campaign_tracking_id: str | None
    message_status: str | None = None
    first_occurred_at: datetime | None = None
    last_occurred_at: datetime | None = None


class _Span(NamedTuple):
    """When the first and the last event of a message occurred whose times are known."""

    message_tracking_id: str
    first: datetime | None
    last: datetime | None


# Columns instead of ORM objects: those cost much, and a page has a thousand.
_EVENT_COLUMNS: Final = tuple(getattr(EventRow, name) for name in FeedEvent._fields)
_NOTICE_COLUMNS: Final = tuple(getattr(NoticeRow, name) for name in FeedNotice._fields)

#: All other types are notices.
_TABLES: Final[dict[FeedItemType, FeedTable]] = {
    FeedItemType.STATUS: EventRow,
    FeedItemType.INBOUND: InboundMessageRow,
}

#: The status words of all events of some messages up to a position, from those partitions alone
#: that can have them. The caller sorts them by position, not by id: of two batches that wait for
#: the same message, the one that began first may be the second to draw its ids.
HISTORIES: Final = text("""
SELECT e.*
FROM unnest(
    CAST(:messages AS text[]), CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[])
) AS given(message_tracking_id, first, last), LATERAL (
    SELECT message_tracking_id, feed_epoch, xid, id, status_key, occurred_at
    FROM events
    WHERE message_tracking_id = given.message_tracking_id
        AND (occurred_at = 'epoch' OR occurred_at BETWEEN given.first AND given.last)
    OFFSET 0  -- one message after the other, by the key
) AS e
WHERE (e.feed_epoch, e.xid, e.id)
    <= (CAST(:feed_epoch AS smallint), CAST(:xid AS xid8), CAST(:id AS bigint))
""")


async def page_of_feed(
    database: Database, wanted: FeedFilter, *, after: Position, limit: int
) -> FeedPage:
    """
    At most *limit* items beyond the position *after*.

    It is read in parts, each of which ends where the next one begins, so that no step of the event
    loop handles many rows. The page may be empty and not be the last, when the items of a campaign
    are far apart.

    Raises:
        CursorExpired: something beyond *after* has been removed.
    """
    items: list[Item] = []
    while True:
        wanted_items = min(limit - len(items), PART_ITEMS)
        part = await _part_of_feed(database, wanted, after=after, limit=wanted_items)
        items += part.items
        after = part.end
        if part.is_last or len(part.items) < wanted_items or len(items) >= limit:
            return FeedPage(items, part.end, part.is_last)


async def _part_of_feed(
    database: Database, wanted: FeedFilter, *, after: Position, limit: int
) -> FeedPage:
    async with database.reading(planner=PLANNER) as session:
        within = FeedRange(after, await horizon_of(session))
        if wanted.campaigns:
            within = await _narrowed(session, wanted, within)
        rows = await _rows_in(session, wanted, within, limit=limit + 1)
        page = rows[:limit]
        items = await _items_of(session, page)
        if len(rows) > limit:
            end = page[-1].position
        else:
            end = within.until or max(after, await newest_before(session, within.horizon))
        # Last, so that what is removed while the page is being read is noticed.
        await refuse_expired(session, after)
    return FeedPage(items, end, is_last=len(rows) <= limit and within.until is None)


async def _narrowed(session: AsyncSession, wanted: FeedFilter, within: FeedRange) -> FeedRange:
    """As much of *within* as one page scans."""
    ends = []
    for source in wanted.sources:
        end = await session.execute(limit_query(source, within))
        ends += [Position(*row) for row in end]
    return within._replace(until=min(ends, default=None))


async def _rows_in(
    session: AsyncSession, wanted: FeedFilter, within: FeedRange, *, limit: int
) -> list[_FeedRow]:
    of_each_source: list[list[_FeedRow]] = []
    for source in wanted.sources:
        rows = await session.execute(items_query(source, wanted.campaigns, within).limit(limit))
        make = _MAKERS[source.table]
        of_each_source.append([make(row) for row in rows])
    return list(islice(merge(*of_each_source, key=attrgetter("position")), limit))


def _event_row(row: Row[*tuple[Any, ...]]) -> _FeedRow:
    event = FeedEvent(*row[: len(_EVENT_COLUMNS)])
    return _FeedRow(Position(row[0], row[1], row[2]), event, *row[len(_EVENT_COLUMNS) :])


def _reply_row(row: Row[*tuple[Any, ...]]) -> _FeedRow:
    return _FeedRow(position_in(row[0]), *row)


def _notice_row(row: Row[*tuple[Any, ...]]) -> _FeedRow:
    notice = FeedNotice(*row[: len(_NOTICE_COLUMNS)])
    return _FeedRow(Position(row[0], row[1], row[2]), notice, row[len(_NOTICE_COLUMNS)])


_MAKERS: Final[dict[FeedTable, Callable[[Row[*tuple[Any, ...]]], _FeedRow]]] = {
    EventRow: _event_row,
    InboundMessageRow: _reply_row,
    NoticeRow: _notice_row,
}


def limit_query(source: FeedSource, within: FeedRange) -> Select[int, int, int]:
    """The position of the last of `MAX_SCANNED_ITEMS` rows; nothing if there are fewer."""
    table = source.table
    positions = positions_of(table).where(_is_in(source, within)).order_by(*in_order(table))
    return positions.offset(MAX_SCANNED_ITEMS - 1).limit(1)


def items_query(
    source: FeedSource, campaigns: Sequence[CampaignKeys], within: FeedRange
) -> Select[*tuple[Any, ...]]:
    """The rows of one table of some *campaigns*, or of all, with columns of what they are about."""
    table = source.table
    named: ColumnElement[str | None]
    if table is NoticeRow:
        named = func.coalesce(NoticeRow.campaign_tracking_id, CampaignRow.tracking_id)
        query = select(*_NOTICE_COLUMNS, named).outerjoin(
            CampaignRow, CampaignRow.id == NoticeRow.campaign_id
        )
    else:
        named = func.coalesce(table.campaign_tracking_id, MessageRow.campaign_tracking_id)
        query = _with_messages(table, named)
    query = query.where(_is_in(source, within)).order_by(*in_order(table))
    return query.where(_is_of(campaigns, table, named)) if campaigns else query


def _with_messages(table: FeedTable, named: ColumnElement[str | None]) -> Select[*tuple[Any, ...]]:
    added = (named, MessageRow.status, MessageRow.first_occurred_at, MessageRow.last_occurred_at)
    if table is EventRow:
        return select(*_EVENT_COLUMNS, *added).outerjoin(
            MessageRow, MessageRow.message_tracking_id == EventRow.message_tracking_id
        )
    query = select(InboundMessageRow, *added).outerjoin(
        MessageRow, MessageRow.message_tracking_id == InboundMessageRow.reference_tracking_id
    )
    return query.options(defer(InboundMessageRow.payload))


def _is_in(source: FeedSource, within: FeedRange) -> ColumnElement[bool]:
    """Whether a row is wanted, and in the range."""
    is_within = within.contains(source.table)
    return is_within if source.kind is None else and_(NoticeRow.type == source.kind, is_within)


def _is_of(
    campaigns: Sequence[CampaignKeys], table: FeedTable, named: ColumnElement[str | None]
) -> ColumnElement[bool]:
    """Whether a row names the trackingId of one of them, or names none and came by its token."""
    ways: list[ColumnElement[bool]] = []
    tracking_ids = [one.tracking_id for one in campaigns if one.tracking_id is not None]
    own_ids = [one.campaign_id for one in campaigns if one.campaign_id is not None]
    if tracking_ids:
        ways.append(named == any_(literal(tracking_ids, ARRAY(Text))))
    if own_ids:
        is_own = table.campaign_id == any_(literal(own_ids, ARRAY(Uuid)))
        ways.append(and_(named.is_(None), is_own))
    return or_(false(), *ways)


async def _items_of(session: AsyncSession, page: Sequence[_FeedRow]) -> list[Item]:
    effects_by_id = await _effects_in(session, page)
    items: list[Item] = []
    for position, row, campaign, status, *_ in page:
        if isinstance(row, InboundMessageRow):
            items.append(InboundItem(position, Reply(row, campaign)))
        elif isinstance(row, FeedNotice):
            items.append(NoticeItem(position, row, campaign))
        else:
            effect = effects_by_id.get(row.id)
            if effect is None:  # removed since the page was read, so the floor was raised
                continue
            now = None if status is None else status_of(status)
            items.append(StatusItem(position, row, campaign, effect, now))
    return items


async def _effects_in(session: AsyncSession, page: Sequence[_FeedRow]) -> Mapping[int, Effect]:
    """What each event of *page*, and each before it, did to its message; by the id of the event."""
    spans = _spans_in(page)
    if not spans:
        return {}
    messages, firsts, lasts = zip(*spans, strict=True)
    parameters = {"messages": messages, "firsts": firsts, "lasts": lasts}
    rows = await session.execute(HISTORIES, parameters | page[-1].position._asdict())
    effects_by_id: dict[int, Effect] = {}
    for _, group in groupby(rows, key=attrgetter("message_tracking_id")):
        history = list(group)
        if len(history) > 1:
            history.sort(key=attrgetter("feed_epoch", "xid", "id"))
        effects_by_id.update(zip((row.id for row in history), effects_of(history), strict=True))
    return effects_by_id


def _spans_in(page: Sequence[_FeedRow]) -> Sequence[_Span]:
    """A span for each message; of a removed message, that of its events on the page."""
    spans: dict[str, _Span] = {}
    for _, row, _, status, first, last in page:
        if not isinstance(row, FeedEvent):
            continue
        message = row.message_tracking_id
        known = spans.setdefault(message, _Span(message, first, last))
        if status is None and row.occurred_at != UNKNOWN_TIME:
            at = row.occurred_at
            spans[message] = _Span(message, least(known.first, at), greatest(known.last, at))
    return list(spans.values())
