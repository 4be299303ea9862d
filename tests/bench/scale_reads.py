"""What readers ask of a full database and of a small one in turn, and how long it takes."""

import time
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from statistics import median
from typing import Final, NamedTuple

from sqlalchemy import TextClause, text

from app.db.campaigns import (
    CampaignFilter,
    counts_of,
    counts_of_each,
    find_campaign,
    page_of_campaigns,
)
from app.db.feed.pages import FeedFilter, page_of_feed
from app.db.messages import (
    CampaignKey,
    MessageFilter,
    find_message,
    history_of,
    page_of_messages,
)
from app.domain.feed import FeedItemType, Position
from tests.bench.figure import Bound
from tests.bench.scale_sides import Side

_FEED_ITEMS: Final = 1000
_LIST_ITEMS: Final = 100
_WARM_UP_CALLS: Final = 5
_LATENCY: Final = Bound(1.3, aim=1.1, is_ceiling=True)
_UNFILTERED: Final = CampaignFilter()
_STATUSES: Final = FeedFilter((FeedItemType.STATUS,))
_POSITION_OF: Final = text("""
SELECT feed_epoch, xid, id FROM events WHERE message_tracking_id = :message
ORDER BY occurred_at LIMIT 1
""")
_POSITION_BEFORE_END: Final = text("""
SELECT feed_epoch, xid, id FROM events
ORDER BY feed_epoch DESC, xid DESC, id DESC OFFSET :items LIMIT 1
""")

Ask = Callable[[], Awaitable[object]]


class Read(NamedTuple):
    """One thing that is asked."""

    says: str
    #: What is looked up beforehand does not count.
    prepare: Callable[[Side, Random], Awaitable[Ask]]
    calls: int
    bound: Bound | None = None


async def _status(side: Side, rng: Random) -> Ask:
    wanted = _any_message(side, rng)
    return lambda: find_message(side.reads, wanted)


async def _timeline(side: Side, rng: Random) -> Ask:
    message = await find_message(side.reads, _any_message(side, rng))
    assert message is not None
    return lambda: history_of(side.reads, message)


async def _feed_middle(side: Side, rng: Random) -> Ask:
    message = side.plan.message_id(rng.randrange(side.plan.messages // 2))
    return await _feed_page(side, _POSITION_OF, message=message)


async def _feed_end(side: Side, rng: Random) -> Ask:
    del rng
    return await _feed_page(side, _POSITION_BEFORE_END, items=_FEED_ITEMS)


async def _feed_page(side: Side, query: TextClause, **parameters: object) -> Ask:
    async with side.feed.reading() as session:
        after = Position(*(await session.execute(query, parameters)).one())

    async def _ask() -> object:
        page = await page_of_feed(side.feed, _STATUSES, after=after, limit=_FEED_ITEMS)
        assert len(page.items) == _FEED_ITEMS
        return page

    return _ask


async def _messages_of_campaign(side: Side, rng: Random) -> Ask:
    wanted = MessageFilter(campaign=CampaignKey(_any_campaign(side, rng)))
    return lambda: page_of_messages(side.reads, wanted, after=None, limit=_LIST_ITEMS)


async def _campaigns(side: Side, rng: Random) -> Ask:
    del rng

    async def _ask() -> object:
        rows = await page_of_campaigns(side.reads, _UNFILTERED, before=None, limit=10)
        return await counts_of_each(side.reads, [row.tracking_id or "" for row in rows])

    return _ask


async def _campaign(side: Side, rng: Random) -> Ask:
    wanted = _any_campaign(side, rng)

    async def _ask() -> object:
        return await find_campaign(side.reads, wanted), await counts_of(side.reads, wanted)

    return _ask


READS: Final[Mapping[str, Read]] = {
    "scale_status": Read("status of one message", _status, 300, _LATENCY),
    "scale_timeline": Read("history of one message", _timeline, 150),
    "scale_feed_middle": Read(f"{_FEED_ITEMS} items of the feed, from the middle", _feed_middle, 8),
    "scale_feed_end": Read(f"the last {_FEED_ITEMS} items of the feed", _feed_end, 8),
    "scale_messages": Read(f"{_LIST_ITEMS} messages of a campaign", _messages_of_campaign, 40),
    "scale_campaigns": Read("10 campaigns with their counts", _campaigns, 60),
    "scale_campaign": Read("one campaign with its counts", _campaign, 60),
}


class Latencies(NamedTuple):
    """Medians, in milliseconds."""

    big: float
    small: float

    @property
    def ratio(self) -> float:
        """How many times as long it takes with much in the database."""
        return self.big / self.small


async def latencies(read: Read, big: Side, small: Side, rng: Random) -> Latencies:
    """Ask both in turn, each time for something else."""
    for each in (big, small):
        for _ in range(_WARM_UP_CALLS):
            await _timed(read, each, rng)
    pairs = [
        (await _timed(read, big, rng), await _timed(read, small, rng)) for _ in range(read.calls)
    ]
    return Latencies(*(1000 * median(side) for side in zip(*pairs, strict=True)))


async def _timed(read: Read, side: Side, rng: Random) -> float:
    ask = await read.prepare(side, rng)
    started = time.perf_counter()
    answer = await ask()
    seconds = time.perf_counter() - started
    assert answer, read.says
    return seconds


def _any_message(side: Side, rng: Random) -> str:
    return side.plan.message_id(rng.randrange(side.plan.messages))


def _any_campaign(side: Side, rng: Random) -> str:
    return side.plan.campaign_id(rng.randrange(side.plan.campaigns))
