"""Reading the recipients' replies."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import defer

from app.db.database import Database
from app.db.tables import InboundMessageRow, MessageRow


class InboundFilter(NamedTuple):
    """Which replies are wanted."""

    campaign_tracking_id: str | None = None
    reference_tracking_id: str | None = None
    sender: str | None = None
    received_since: datetime | None = None
    received_before: datetime | None = None


class Reply(NamedTuple):
    """A reply, and the campaign it belongs to: its own word, else that of what it answers."""

    row: InboundMessageRow
    campaign_tracking_id: str | None


_CAMPAIGN: ColumnElement[str | None] = func.coalesce(
    InboundMessageRow.campaign_tracking_id, MessageRow.campaign_tracking_id
)


def _replies() -> Select[InboundMessageRow, str | None]:
    return (
        select(InboundMessageRow, _CAMPAIGN)
        .outerjoin(
            MessageRow, MessageRow.message_tracking_id == InboundMessageRow.reference_tracking_id
        )
        .options(defer(InboundMessageRow.payload))
    )


async def find_inbound_message(database: Database, inbound_id: int) -> Reply | None:
    """The reply of that id."""
    async with database.reading() as session:
        query = _replies().where(InboundMessageRow.id == inbound_id)
        row = (await session.execute(query)).one_or_none()
    return None if row is None else Reply(row[0], row[1])


async def page_of_inbound_messages(
    database: Database, wanted: InboundFilter, *, after: int | None, limit: int
) -> Sequence[Reply]:
    """At most *limit* replies in the order in which they were stored, beyond the id *after*."""
    query = _filtered(_replies(), wanted)
    if after is not None:
        query = query.where(InboundMessageRow.id > after)
    query = query.order_by(InboundMessageRow.id).limit(limit)
    async with database.reading() as session:
        return [Reply(row[0], row[1]) for row in await session.execute(query)]


def _filtered(
    query: Select[InboundMessageRow, str | None], wanted: InboundFilter
) -> Select[InboundMessageRow, str | None]:
    row = InboundMessageRow
    if wanted.campaign_tracking_id is not None:
        named = row.campaign_tracking_id == wanted.campaign_tracking_id
        by_answer = MessageRow.campaign_tracking_id == wanted.campaign_tracking_id
        query = query.where(or_(named, and_(row.campaign_tracking_id.is_(None), by_answer)))
    if wanted.reference_tracking_id is not None:
        query = query.where(row.reference_tracking_id == wanted.reference_tracking_id)
    if wanted.sender is not None:
        query = query.where(row.sender == wanted.sender)
    if wanted.received_since is not None:
        query = query.where(row.received_at >= wanted.received_since)
    if wanted.received_before is not None:
        query = query.where(row.received_at < wanted.received_before)
    return query
