"""Reading the recipients' replies."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from app.db.database import Database
from app.db.parts import PART_ITEMS, rows_in_parts
from app.db.tables import InboundMessageRow, MessageRow

#: How many replies one page scans when only some of them are wanted.
MAX_SCANNED_ITEMS: Final = 10_000


class InboundFilter(NamedTuple):
    """Which replies are wanted."""

    campaign_tracking_id: str | None = None
    reference_tracking_id: str | None = None
    sender: str | None = None
    received_since: datetime | None = None
    received_before: datetime | None = None

    @property
    def has_key(self) -> bool:
        """Whether its replies are listed in the order of their ids, else in that of receipt."""
        return any(
            key is not None
            for key in (self.campaign_tracking_id, self.reference_tracking_id, self.sender)
        )


class Reply(NamedTuple):
    """A reply, and its campaign: the one that it names, else that of the answered message."""

    row: InboundMessageRow
    campaign_tracking_id: str | None


class ReplyPage(NamedTuple):
    """Some replies of a list, and where the next ones are."""

    replies: Sequence[Reply]
    #: The id after which the list goes on, perhaps of a reply that was not wanted.
    end: int | None


_UNNAMED: Final = and_(
    InboundMessageRow.campaign_tracking_id.is_(None),
    InboundMessageRow.reference_tracking_id.is_not(None),
)
_ANSWERED: Final = MessageRow.message_tracking_id == InboundMessageRow.reference_tracking_id


def _campaign_of_reply() -> ColumnElement[str | None]:
    return func.coalesce(InboundMessageRow.campaign_tracking_id, MessageRow.campaign_tracking_id)


def _replies() -> Select[InboundMessageRow, str | None]:
    return (
        select(InboundMessageRow, _campaign_of_reply())
        .outerjoin(MessageRow, _ANSWERED)
        .options(defer(InboundMessageRow.payload))
    )


async def find_inbound_message(database: Database, inbound_id: int) -> Reply | None:
    """The reply of that id."""
    async with database.reading() as session:
        query = _replies().where(InboundMessageRow.id == inbound_id)
        row = (await session.execute(query)).one_or_none()
    return None if row is None else Reply(row[0], row[1])


async def replies_of(database: Database, ids: Collection[int]) -> Sequence[Reply]:
    """The replies of *ids*, the newest first; without those that do not exist."""
    query = _replies().where(InboundMessageRow.id.in_(ids)).order_by(InboundMessageRow.id.desc())
    async with database.reading() as session:
        return [_reply(row) for row in await session.execute(query)]


async def page_of_inbound_messages(
    database: Database, wanted: InboundFilter, *, after: int | None, limit: int
) -> ReplyPage:
    """
    At most *limit* replies in the order of their ids, beyond the id *after*.

    *wanted* has a key. If there are other conditions, at most `MAX_SCANNED_ITEMS` are scanned: the
    page may be short or empty without being the last.
    """
    key, rest = _conditions(wanted)
    beyond = [] if after is None else [InboundMessageRow.id > after]
    async with database.reading() as session:
        if key is None:
            return await _page_of_campaign(session, wanted, [*beyond, *rest], beyond, limit)
        scanned_to = await session.scalar(_end_of_scan(key, *beyond)) if rest else None
        within = [] if scanned_to is None else [InboundMessageRow.id <= scanned_to]
        query = _replies().where(key, *within, *rest).order_by(InboundMessageRow.id)

        def _beyond(last: Reply | None) -> Select[*tuple[Any, ...]]:
            begin = after if last is None else last.row.id
            return query if begin is None else query.where(InboundMessageRow.id > begin)

        replies = await rows_in_parts(session, _beyond, _reply, limit=limit + 1)
        return _page(replies, limit, scanned_to)


async def page_of_received_messages(
    database: Database,
    wanted: InboundFilter,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[Reply]:
    """At most *limit* replies in the order of receipt, beyond *after*: its time and id."""
    order = (InboundMessageRow.received_at, InboundMessageRow.id)
    query = _replies().where(*_times(wanted)).order_by(*order)

    def _beyond(last: Reply | None) -> Select[*tuple[Any, ...]]:
        begin = after if last is None else (last.row.received_at, last.row.id)
        return query if begin is None else query.where(tuple_(*order) > begin)

    async with database.reading() as session:
        return await rows_in_parts(session, _beyond, _reply, limit=limit)


async def _page_of_campaign(
    session: AsyncSession,
    wanted: InboundFilter,
    conditions: Sequence[ColumnElement[bool]],
    beyond: Sequence[ColumnElement[bool]],
    limit: int,
) -> ReplyPage:
    """
    The replies that name the campaign, and those that name none but answer a message of it.

    An index gives the former; of the latter all that name no campaign have to be scanned.
    """
    row = InboundMessageRow
    named = row.campaign_tracking_id == wanted.campaign_tracking_id
    ends = [await session.scalar(_end_of_scan(_UNNAMED, *beyond))]
    if _times(wanted):
        ends.append(await session.scalar(_end_of_scan(named, *beyond)))
    scanned_to = min((end for end in ends if end is not None), default=None)
    within = [] if scanned_to is None else [row.id <= scanned_to]

    def _beyond(last: Reply | None) -> Select[*tuple[Any, ...]]:
        rest = [] if last is None else [row.id > last.row.id]
        by_name = select(row.id).where(named, *conditions, *within, *rest)
        by_answer = (
            select(row.id)
            .join(MessageRow, _ANSWERED)
            .where(_UNNAMED, MessageRow.campaign_tracking_id == wanted.campaign_tracking_id)
            .where(*conditions, *within, *rest)
        )
        first = (part.order_by(row.id).limit(PART_ITEMS) for part in (by_name, by_answer))
        both = union_all(*(select(part.subquery().c.id) for part in first))
        return _replies().where(row.id.in_(both)).order_by(row.id)

    replies = await rows_in_parts(session, _beyond, _reply, limit=limit + 1)
    return _page(replies, limit, scanned_to)


def _reply(row: Row[*tuple[Any, ...]]) -> Reply:
    return Reply(row[0], row[1])


def _page(replies: Sequence[Reply], limit: int, scanned_to: int | None) -> ReplyPage:
    if len(replies) > limit:
        return ReplyPage(replies[:limit], replies[limit - 1].row.id)
    return ReplyPage(replies, scanned_to)


def _conditions(
    wanted: InboundFilter,
) -> tuple[ColumnElement[bool] | None, list[ColumnElement[bool]]]:
    """The condition whose index is scanned, None if that is the campaign, and the others."""
    row = InboundMessageRow
    keys: list[ColumnElement[bool]] = []
    if wanted.reference_tracking_id is not None:
        keys.append(row.reference_tracking_id == wanted.reference_tracking_id)
    if wanted.sender is not None:
        keys.append(row.sender == wanted.sender)
    if keys and wanted.campaign_tracking_id is not None:
        keys.append(_campaign_of_reply() == wanted.campaign_tracking_id)
    key, rest = (keys[0], keys[1:]) if keys else (None, [])
    return key, [*rest, *_times(wanted)]


def _times(wanted: InboundFilter) -> list[ColumnElement[bool]]:
    row = InboundMessageRow
    times: list[ColumnElement[bool]] = []
    if wanted.received_since is not None:
        times.append(row.received_at >= wanted.received_since)
    if wanted.received_before is not None:
        times.append(row.received_at < wanted.received_before)
    return times


def _end_of_scan(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The id of the last reply to scan; no row if the list ends before."""
    return (
        select(InboundMessageRow.id)
        .where(*conditions)
        .order_by(InboundMessageRow.id)
        .offset(MAX_SCANNED_ITEMS - 1)
        .limit(1)
    )
