"""
Reading the feed: status events and inbound messages in one order that never changes.

A page is read in several statements. What lies before the horizon of the first one is settled, so
that all of them see the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from app.db.database import Database
from app.db.feed.positions import (
    FeedTable,
    Stretch,
    horizon_of,
    in_order,
    newest_before,
    places_of,
    position_in,
    refuse_expired,
)
from app.db.inbound_messages import Reply
from app.db.tables import EventRow, InboundMessageRow, MessageRow
from app.domain.event import UNKNOWN_TIME
from app.domain.feed import Kind, Position
from app.domain.history import Step, steps
from app.domain.merge import greatest, least
from app.domain.status import Status, status_of

#: Planning a statement for all months takes longer than running it, so each connection plans it once.
#: That may be while the tables are empty: without these two the plan would then scan and sort them
#: instead of following the index of the feed, for as long as the connection lives.
PLANNER: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_sort": "off",
}
#: How far one page looks for the items of a campaign.
MAX_SCANNED_ITEMS: Final = 10_000


class CampaignKeys(NamedTuple):
    """By what the items of one campaign are known: a callback need not name its trackingId."""

    tracking_id: str | None
    campaign_id: UUID | None


class FeedFilter(NamedTuple):
    """Which items are wanted."""

    kind: Kind | None = None
    campaign: CampaignKeys | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that are wanted."""
        return tuple(Kind) if self.kind is None else (self.kind,)


class FeedEvent(NamedTuple):
    """What the feed tells of an event: columns of it, under their names."""

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


class StatusItem(NamedTuple):
    """A status event."""

    position: Position
    event: FeedEvent
    #: Its own, else that of the message.
    campaign_tracking_id: str | None
    #: What it did, by all events of the message that stand before it in the feed.
    step: Step
    #: Where the message stands now; None when it was removed.
    message_status: Status | None


class InboundItem(NamedTuple):
    """A recipient's reply."""

    position: Position
    reply: Reply


Item = StatusItem | InboundItem


@dataclass(frozen=True, eq=False)
class FeedPage:
    """Some items, and the place up to which the feed was read for them."""

    items: Sequence[Item]
    end: Position
    #: Whether nothing more could be served when it was read.
    is_last: bool


class _Found(NamedTuple):
    """An event or a reply, with what the message adds that it is about."""

    position: Position
    row: FeedEvent | InboundMessageRow
    campaign_tracking_id: str | None
    message_status: str | None
    first_occurred_at: datetime | None
    last_occurred_at: datetime | None


class _Span(NamedTuple):
    """Between when and when all events of a message occurred, unless their time is unknown."""

    message_tracking_id: str
    first: datetime | None
    last: datetime | None


_EVENT_COLUMNS: Final = len(FeedEvent._fields)
_TOLD: Final = tuple(getattr(EventRow, name) for name in FeedEvent._fields)

_TABLES: Final[dict[Kind, FeedTable]] = {Kind.STATUS: EventRow, Kind.INBOUND: InboundMessageRow}

#: The words of all events of some messages, up to a place, from those partitions alone that can
#: have them. In the order of the feed: of two batches that wait for the same message, the one that
#: began first may come second, so ids, which are in the order of the commits, are in another.
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
    At most *limit* items beyond the place *after*.

    The page may be empty without being the last: when the items of a campaign are far between.

    Raises:
        CursorExpired: something beyond *after* has been removed.
    """
    async with database.reading(planner=PLANNER) as session:
        stretch = Stretch(after, await horizon_of(session))
        if wanted.campaign is not None:
            stretch = await _narrowed(session, wanted, stretch)
        found = await _found(session, wanted, stretch, limit=limit + 1)
        page = found[:limit]
        items = await _told(session, page)
        if len(found) > limit:
            end = page[-1].position
        else:
            end = stretch.until or max(after, await newest_before(session, stretch.horizon))
        # Last, so that what is removed while the page is being read is noticed.
        await refuse_expired(session, after)
    return FeedPage(items, end, is_last=len(found) <= limit and stretch.until is None)


async def _narrowed(session: AsyncSession, wanted: FeedFilter, stretch: Stretch) -> Stretch:
    """As much of *stretch* as one page looks through; all of it if that is not more."""
    ends = []
    for kind in wanted.kinds:
        end = await session.execute(limit_query(_TABLES[kind], stretch))
        ends += [Position(*row) for row in end]
    return stretch._replace(until=min(ends, default=None))


async def _found(
    session: AsyncSession, wanted: FeedFilter, stretch: Stretch, *, limit: int
) -> list[_Found]:
    found: list[list[_Found]] = []
    for kind in wanted.kinds:
        rows = await session.execute(items_query(kind, wanted.campaign, stretch).limit(limit))
        make = _found_event if kind is Kind.STATUS else _found_reply
        found.append([make(row) for row in rows])
    return list(islice(merge(*found, key=attrgetter("position")), limit))


def _found_event(row: Row[*tuple[Any, ...]]) -> _Found:
    event = FeedEvent(*row[:_EVENT_COLUMNS])
    return _Found(Position(row[0], row[1], row[2]), event, *row[_EVENT_COLUMNS:])


def _found_reply(row: Row[*tuple[Any, ...]]) -> _Found:
    return _Found(position_in(row[0]), *row)


def limit_query(table: FeedTable, stretch: Stretch) -> Select[int, int, int]:
    """The place of the last of `MAX_SCANNED_ITEMS` rows; nothing if there are not as many."""
    places = places_of(table).where(stretch.has(table)).order_by(*in_order(table))
    return places.offset(MAX_SCANNED_ITEMS - 1).limit(1)


def items_query(
    kind: Kind, campaign: CampaignKeys | None, stretch: Stretch
) -> Select[*tuple[Any, ...]]:
    """The rows of one kind in *stretch*, each with what the message that it is about adds."""
    table = _TABLES[kind]
    about = (
        EventRow.message_tracking_id
        if kind is Kind.STATUS
        else InboundMessageRow.reference_tracking_id
    )
    named: ColumnElement[str | None] = func.coalesce(
        table.campaign_tracking_id, MessageRow.campaign_tracking_id
    )
    added = (MessageRow.status, MessageRow.first_occurred_at, MessageRow.last_occurred_at)
    query = (
        # Of events columns, no objects of the ORM: these are dear, and a page has a thousand.
        select(*_TOLD if kind is Kind.STATUS else (table,), named, *added)
        .outerjoin(MessageRow, MessageRow.message_tracking_id == about)
        .where(stretch.has(table))
        .order_by(*in_order(table))
    )
    if kind is Kind.INBOUND:
        query = query.options(defer(table.payload))
    return query if campaign is None else query.where(_is_of(campaign, table, named))


def _is_of(
    campaign: CampaignKeys, table: FeedTable, named: ColumnElement[str | None]
) -> ColumnElement[bool]:
    """Whatever names its trackingId, and what came through its token and names none."""
    ways: list[ColumnElement[bool]] = []
    if campaign.tracking_id is not None:
        ways.append(named == campaign.tracking_id)
    if campaign.campaign_id is not None:
        ways.append(and_(named.is_(None), table.campaign_id == campaign.campaign_id))
    return or_(false(), *ways)


async def _told(session: AsyncSession, page: Sequence[_Found]) -> list[Item]:
    did = await _steps_in(session, page)
    items: list[Item] = []
    for position, row, campaign, status, *_ in page:
        if isinstance(row, InboundMessageRow):
            items.append(InboundItem(position, Reply(row, campaign)))
        else:
            did_this = did.get(row.id)
            if did_this is None:  # removed since the page was read, so the floor was raised
                continue
            now = None if status is None else status_of(status)
            items.append(StatusItem(position, row, campaign, did_this, now))
    return items


async def _steps_in(session: AsyncSession, page: Sequence[_Found]) -> Mapping[int, Step]:
    """What each event of *page*, and each before it, did to its message; by the event's id."""
    spans = _spans_in(page)
    if not spans:
        return {}
    messages, firsts, lasts = zip(*spans, strict=True)
    parameters = {"messages": messages, "firsts": firsts, "lasts": lasts}
    rows = await session.execute(HISTORIES, parameters | page[-1].position._asdict())
    did: dict[int, Step] = {}
    for _, history in groupby(rows, key=attrgetter("message_tracking_id")):
        told = list(history)
        if len(told) > 1:
            told.sort(key=attrgetter("feed_epoch", "xid", "id"))
        did.update(zip((row.id for row in told), steps(told), strict=True))
    return did


def _spans_in(page: Sequence[_Found]) -> Sequence[_Span]:
    """One for each message. A message that was removed has the span of its events on the page."""
    spans: dict[str, _Span] = {}
    for _, row, _, status, first, last in page:
        if isinstance(row, InboundMessageRow):
            continue
        message = row.message_tracking_id
        known = spans.setdefault(message, _Span(message, first, last))
        if status is None and row.occurred_at != UNKNOWN_TIME:
            at = row.occurred_at
            spans[message] = _Span(message, least(known.first, at), greatest(known.last, at))
    return list(spans.values())
