"""Reading messages and their history."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import defer

from app.db.database import Database
from app.db.tables import EventRow, MessageRow
from app.domain.event import UNKNOWN_TIME
from app.domain.status import Status

#: More events of one message than this are not its history but an attack or a fault.
MAX_HISTORY_ITEMS: Final = 10_000


class MessageFilter(NamedTuple):
    """Which messages are wanted."""

    status: Status | None = None
    recipient: str | None = None


async def find_message(database: Database, tracking_id: str) -> MessageRow | None:
    """The current state of the message *tracking_id*."""
    async with database.reading() as session:
        query = select(MessageRow).where(MessageRow.message_tracking_id == tracking_id)
        return (await session.scalars(query)).one_or_none()


async def history_of(
    database: Database, message: MessageRow, *, with_payload: bool
) -> Sequence[EventRow]:
    """The events of *message* in the order in which they were stored."""
    async with database.reading() as session:
        query = _events_of(message)
        if not with_payload:
            query = query.options(defer(EventRow.payload))
        return (await session.scalars(query)).all()


async def page_of_campaign_messages(
    database: Database,
    campaign_tracking_id: str,
    wanted: MessageFilter,
    *,
    after: str | None,
    limit: int,
) -> Sequence[MessageRow]:
    """At most *limit* messages of a campaign in the order of their ids, beyond the id *after*."""
    query = select(MessageRow).where(MessageRow.campaign_tracking_id == campaign_tracking_id)
    if wanted.status is not None:
        query = query.where(MessageRow.status == wanted.status)
    if wanted.recipient is not None:
        query = query.where(MessageRow.recipient == wanted.recipient)
    if after is not None:
        query = query.where(MessageRow.message_tracking_id > after)
    query = query.order_by(MessageRow.message_tracking_id).limit(limit)
    async with database.reading() as session:
        return (await session.scalars(query)).all()


def _events_of(message: MessageRow) -> Select[EventRow]:
    """Only the partitions that can have events of *message* are looked into."""
    times = or_(
        EventRow.occurred_at == UNKNOWN_TIME,
        EventRow.occurred_at.between(message.first_occurred_at, message.last_occurred_at),
    )
    return (
        select(EventRow)
        .where(EventRow.message_tracking_id == message.message_tracking_id, times)
        .order_by(EventRow.id)
        .limit(MAX_HISTORY_ITEMS)
    )
