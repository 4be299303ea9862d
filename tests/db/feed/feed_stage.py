"""Events and replies to store, and readers who follow the feed."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.db.database import Database
from app.db.feed.pages import FeedFilter, InboundItem, Item, StatusItem, page_of_feed
from app.db.ingest import append_events, append_inbound
from app.domain.event import DeliveryEvent, Source
from app.domain.feed import BEGINNING, FeedItemType, Position
from app.domain.inbound_message import Content, InboundMessage, identity_of

START = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING = FeedFilter()

_texts = count(1)


def event(
    message: str,
    status: str = "SENT",
    *,
    campaign: str | None = "c",
    at: datetime = START,
    campaign_id: UUID | None = None,
) -> DeliveryEvent:
    """What Routee tells of *message*."""
    return DeliveryEvent(
        message_tracking_id=message,
        status_key=status,
        occurred_at=at,
        digest=b"",
        provider_status=status,
        detailed_status=None,
        description=None,
        campaign_tracking_id=campaign,
        campaign_id=campaign_id,
        recipient="+306912345678",
        sender="Shop",
        country="GR",
        label=None,
        price=None,
        created_at=START,
        source=Source.CALLBACK,
        payload=b"{}",
        payload_dictionary=0,
        payload_reserialised=False,
    )


def reply(message: str | None = None, *, campaign: str | None = None) -> InboundMessage:
    """A reply to *message*, unlike all others."""
    text = f"text {next(_texts)}"
    return InboundMessage(
        identity=identity_of(
            Content("+306912345678", "Shop", message, None, text, None, None),
        ),
        sender="+306912345678",
        recipient="Shop",
        message=text,
        media=None,
        filename=None,
        sent_at=START,
        campaign_tracking_id=campaign,
        campaign_name=None,
        campaign_id=None,
        reference_tracking_id=message,
        label=None,
        payload=b"{}",
        payload_dictionary=0,
        payload_reserialised=False,
    )


class Notice(NamedTuple):
    """A notice to store."""

    kind: FeedItemType
    message: str
    campaign: str | None


def notice(
    message: str, *, kind: FeedItemType = FeedItemType.OVERDUE, campaign: str | None = None
) -> Notice:
    """What the service tells of *message*."""
    return Notice(kind, message, campaign)


async def store(
    connection: asyncpg.Connection, *records: DeliveryEvent | InboundMessage | Notice
) -> None:
    """Store each of *records* by itself."""
    for record in records:
        if isinstance(record, DeliveryEvent):
            await append_events(connection, [record])
        elif isinstance(record, Notice):
            await connection.execute(
                "INSERT INTO notices (type, message_tracking_id, campaign_tracking_id)"
                " VALUES ($1, $2, $3)",
                *record,
            )
        else:
            await append_inbound(connection, [record])


@asynccontextmanager
async def feed_database(url: str, *, pool_items: int = 2) -> AsyncIterator[Database]:
    """The database as the feed has it."""
    database = Database(url, name="feed", pool_items=pool_items)
    try:
        yield database
    finally:
        await database.close()


class Reader:
    """Follows the feed from a position on."""

    def __init__(
        self,
        database: Database,
        wanted: FeedFilter = EVERYTHING,
        *,
        after: Position = BEGINNING,
        limit: int = 7,
    ) -> None:
        self._database = database
        self._wanted = wanted
        self.position = after
        self._limit = limit
        self.items: list[Item] = []

    async def read(self) -> Sequence[Item]:
        """Everything until the end; what came now."""
        came: list[Item] = []
        is_last = False
        while not is_last:
            page = await page_of_feed(
                self._database, self._wanted, after=self.position, limit=self._limit
            )
            assert page.end >= self.position
            assert all(self.position < item.position <= page.end for item in page.items)
            self.position, is_last = page.end, page.is_last
            came += page.items
        self.items += came
        return came


def names(items: Iterable[Item]) -> list[str]:
    """What distinguishes the items of a test, see `_name`."""
    return [_name(item) for item in items]


def _name(item: Item) -> str:
    """Message and status, the text of a reply, or the type of a notice and its message, if any."""
    if isinstance(item, StatusItem):
        return f"{item.event.message_tracking_id} {item.event.status_key}"
    if isinstance(item, InboundItem):
        return item.reply.row.message or ""
    return f"{item.notice.type} {item.notice.message_tracking_id or ''}".strip()


def days(number: float) -> datetime:
    """So many days after the start."""
    return START + timedelta(days=number)
