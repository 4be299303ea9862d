"""Lists of messages: of a campaign, a label or a number, else by the newest events."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from app.db.campaigns import find_campaign
from app.db.dashboard.activity import ActivityFilter, Walk, page_of_activity
from app.db.database import Database
from app.db.messages import (
    MAX_SCANNED_ITEMS,
    CampaignKey,
    CurrentMessage,
    MessageFilter,
    page_of_messages,
)
from app.domain.status import Status

#: Where a list goes on: after a message's id, or in the walk along the events.
ListPosition: TypeAlias = str | Walk
#: For one download so many pages are looked at that are not full.
_MAX_SHORT_PAGES: Final = 20


class MessagesWanted(NamedTuple):
    """Which messages are wanted; None and an empty tuple are for all."""

    campaign: CampaignKey | None = None
    #: Those to this number.
    recipient: str | None = None
    label: str | None = None
    statuses: tuple[Status, ...] = ()
    detailed_status: str | None = None
    country: str | None = None
    #: Something was received about them within this time.
    since: datetime | None = None
    before: datetime | None = None

    @property
    def has_key(self) -> bool:
        """Whether they are listed in the order of their ids."""
        return any(key is not None for key in (self.campaign, self.recipient, self.label))

    @property
    def is_narrowed(self) -> bool:
        """Whether only some of those with the key are wanted."""
        keys = (self.campaign, self.recipient, self.label)
        return any(self[3:]) or sum(key is not None for key in keys) > 1


class ListedMessage(NamedTuple):
    """A message, and when something was last received about it, within the wanted time."""

    message: CurrentMessage
    received_at: datetime


class MessageList(NamedTuple):
    """One page of a list."""

    items: Sequence[ListedMessage]
    #: Where the list goes on; None if this is all.
    end: ListPosition | None
    #: How many messages, or reports of Routee about messages, were looked at, if there are more to
    #: look at although the page is not full; else None.
    looked_at: int | None


async def campaign_key(database: Database, tracking_id: str) -> CampaignKey | None:
    """The keys of the messages of the campaign of that id, Routee's or ours; None without one."""
    row = await find_campaign(database, tracking_id)
    return None if row is None else CampaignKey(row.tracking_id, row.id)


async def page_of_listed_messages(
    database: Database, wanted: MessagesWanted, *, position: ListPosition | None, limit: int
) -> MessageList:
    """
    At most *limit* messages from *position* on.

    With a key they are in the order of their ids, else the one with the newest event comes first.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    if wanted.has_key:
        after = position if isinstance(position, str) else None
        return await _by_key(database, wanted, after, limit)
    walk = position if isinstance(position, Walk) else None
    return await _by_activity(database, wanted, walk, limit)


async def pages_of_listed_messages(
    database: Database, wanted: MessagesWanted, *, most: int, limit: int
) -> AsyncIterator[Sequence[ListedMessage]]:
    """
    At most *most* messages, in pages of *limit* at most, as one download has them.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    position: ListPosition | None = None
    left, short_pages = most, 0
    while left and short_pages < _MAX_SHORT_PAGES:
        page = await page_of_listed_messages(
            database, wanted, position=position, limit=min(limit, left)
        )
        yield page.items
        if page.end is None:
            return
        left -= len(page.items)
        position = page.end
        short_pages += page.looked_at is not None


async def _by_key(
    database: Database, wanted: MessagesWanted, after: str | None, limit: int
) -> MessageList:
    narrowed = MessageFilter(
        wanted.recipient,
        wanted.campaign,
        wanted.label,
        wanted.statuses,
        wanted.since,
        wanted.before,
        wanted.detailed_status,
        wanted.country,
    )
    page = await page_of_messages(database, narrowed, after=after, limit=limit)
    items = [ListedMessage(row, row.updated_at) for row in page.rows]
    is_short = page.end is not None and len(items) < limit
    return MessageList(items, page.end, MAX_SCANNED_ITEMS if is_short else None)


async def _by_activity(
    database: Database, wanted: MessagesWanted, walk: Walk | None, limit: int
) -> MessageList:
    narrowed = ActivityFilter(
        wanted.statuses, wanted.detailed_status, wanted.country, wanted.since, wanted.before
    )
    page = await page_of_activity(database, narrowed, walk=walk, limit=limit)
    items = [ListedMessage(it.message, it.received_at) for it in page.items]
    is_short = page.end is not None and len(items) < limit
    return MessageList(items, page.end, page.looked_at if is_short else None)
