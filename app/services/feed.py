"""Answering readers of the feed: at once, or as soon as there is something for them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

import structlog

from app.db.database import Database
from app.db.feed import SESSION_SETTINGS, FeedFilter, FeedPage, page_of_feed
from app.db.feed_places import newest_position, oldest_position, position_before, read_horizon
from app.domain.feed import BEGINNING, Position
from app.errors import ReceiverError
from app.kit.rate_limiter import RateLimiter
from app.observability.metrics import Metrics

log = structlog.get_logger()

#: How many pages are read at once, however many clients want one.
MAX_READS: Final = 4
#: The reads, the lookout and the measuring.
POOL_ITEMS: Final = MAX_READS + 2
_LOOK_EVERY_SECONDS: Final = 0.15
_LOOK_AGAIN_SECONDS: Final = 1.0
#: How long a client that does not wait is searched for items that are far between.
_SEARCH_SECONDS: Final = 1.0
#: From so many callbacks a second on, those who wait for items give way to those who bring them.
_BUSY_CALLBACKS_PER_SECOND: Final = 500
#: How many pages a second all who wait get together. A page costs what several callbacks cost, so
#: that 500 clients, all told at once of each batch, would leave a tenth of the callbacks' speed.
_BUSY_PAGES_PER_SECOND: Final = 20
_PAGES_PER_SECOND: Final = 1000
#: For how long a page is good for others who wait and stand at the same place.
_SHARED_SECONDS: Final = 1.0

_Read = tuple[FeedFilter, Position, int]


class Lookout:
    """
    Looks how far the feed can be served, for all who wait in this process, and wakes them.

    One small query every so often, and only while somebody waits: nothing is asked of those who
    store callbacks, and a waiting client has no connection to the database.
    """

    def __init__(self, look: Callable[[], Awaitable[Position]]) -> None:
        self._look = look
        self._newest = BEGINNING
        self._advanced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_current = False
        self.waiting = 0

    def has_seen_all_before(self, position: Position) -> bool:
        """Whether nothing beyond *position* could be served when it looked a moment ago."""
        return self._is_current and self._newest <= position

    async def sees_beyond(self, position: Position, *, within_seconds: float) -> bool:
        """Return once something beyond *position* can be served, True, or when it is too late."""
        if within_seconds <= 0 or self._is_closed:
            return False
        self.waiting += 1
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="lookout of the feed")
        try:
            async with asyncio.timeout(within_seconds):
                while self._newest <= position and not self._is_closed:
                    await self._advanced.wait()
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
        return not self._is_closed

    def close(self) -> None:
        """Let everybody go who waits, and nobody wait any more."""
        self._is_closed = True
        self._wake()
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def _watch(self) -> None:
        try:
            while self.waiting:
                pause = await self._look_once()
                await asyncio.sleep(pause)
        finally:
            self._is_current = False
            self._task = None

    async def _look_once(self) -> float:
        """Look, and say how many seconds to sleep."""
        try:
            newest = await self._look()
        except ReceiverError as error:
            self._is_current = False
            log.warning("the feed cannot be watched", error=str(error))
            return _LOOK_AGAIN_SECONDS
        except Exception:  # those who wait must not wait in vain from now on
            self._is_current = False
            log.exception("watching the feed failed")
            return _LOOK_AGAIN_SECONDS
        self._is_current = True
        if newest != self._newest:
            self._newest = newest
            self._wake()
        return _LOOK_EVERY_SECONDS


class Feed:
    """
    The feed as one process serves it.

    Args:
        database: For the feed alone, with `POOL_ITEMS` connections and its `SESSION_SETTINGS`.
        metrics: Where the waiting and the holding back is shown.
        clock: In seconds.
    """

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._reads = asyncio.Semaphore(MAX_READS)
        self._queued: dict[_Read, asyncio.Task[FeedPage]] = {}
        self._shared: dict[_Read, asyncio.Task[FeedPage]] = {}
        self._rendered: WeakKeyDictionary[FeedPage, bytes] = WeakKeyDictionary()
        self._pace = RateLimiter(self._pages_per_second)
        self._lookout = Lookout(lambda: newest_position(database))
        self._xmin, self._xmin_since = 0, clock()
        metrics.feed_waiting.set_function(lambda: self._lookout.waiting)

    async def page(
        self, wanted: FeedFilter, *, after: Position, limit: int, wait_seconds: float = 0
    ) -> FeedPage:
        """
        At most *limit* items beyond *after*, waited for if there are none yet.

        Raises:
            CursorExpired: something beyond *after* has been removed.
            DatabaseUnavailable: it cannot be read.
        """
        until = self._clock() + wait_seconds
        searched_until = self._clock() + max(wait_seconds, _SEARCH_SECONDS)
        read = self._read_in_turn(until) if wait_seconds else self._read
        if wait_seconds and self._lookout.has_seen_all_before(after):
            page = FeedPage((), after, is_last=True)
        else:
            page = await read(wanted, after, limit)
        while not page.items:
            left = until - self._clock()
            if (not page.is_last and self._clock() < searched_until) or (
                page.is_last and await self._lookout.sees_beyond(page.end, within_seconds=left)
            ):
                page = await read(wanted, page.end, limit)
            else:
                break
        return page

    def rendered(self, page: FeedPage, render: Callable[[FeedPage], bytes]) -> bytes:
        """What *render* makes of *page*, made once however many get it."""
        body = self._rendered.get(page)
        if body is None:
            body = self._rendered[page] = render(page)
        return body

    async def newest(self) -> Position:
        """The place after which comes what cannot be served yet."""
        async with self._reads:
            return await newest_position(self._database)

    async def oldest(self) -> Position:
        """The place after which comes everything that is kept."""
        async with self._reads:
            return await oldest_position(self._database)

    async def before(self, instant: datetime) -> Position:
        """A place after which comes everything that was received at or after *instant*."""
        async with self._reads:
            return await position_before(self._database, instant)

    async def measure(self) -> None:
        """Show for how long the oldest writing transaction in the cluster has held the feed up."""
        horizon = await read_horizon(self._database)
        if horizon.xmin != self._xmin or horizon.xmin == horizon.xmax:
            self._xmin, self._xmin_since = horizon.xmin, self._clock()
        self._metrics.feed_held_back_seconds.set(self._clock() - self._xmin_since)
        self._metrics.feed_held_back_transactions.set(horizon.xmax - horizon.xmin)

    def let_go(self) -> None:
        """Answer everybody who waits, and let nobody wait any more: the process is to end."""
        self._lookout.close()
        self._pace.close()

    async def close(self) -> None:
        """Let everybody go and give the connections back."""
        self.let_go()
        await self._database.close()

    async def _read(self, wanted: FeedFilter, after: Position, limit: int) -> FeedPage:
        """One read, begun after the call, for all who come to stand at the same place before."""
        key = (wanted, after, limit)
        reading = self._queued.get(key)
        if reading is None:
            reading = self._queued[key] = asyncio.create_task(self._read_queued(key))
            # When all who asked have gone, nobody is left to be told of a failure.
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(reading)

    async def _read_queued(self, key: _Read) -> FeedPage:
        wanted, after, limit = key
        try:
            await self._reads.acquire()
        finally:
            # Who comes from now on may know of something that this read is too early for.
            del self._queued[key]
        try:
            return await page_of_feed(self._database, wanted, after=after, limit=limit)
        finally:
            self._reads.release()

    def _read_in_turn(
        self, until: float
    ) -> Callable[[FeedFilter, Position, int], Awaitable[FeedPage]]:
        """Reading for who waits until then: when it is their turn, and together with others."""

        async def _in_turn(wanted: FeedFilter, after: Position, limit: int) -> FeedPage:
            await self._pace.wait(within_seconds=until - self._clock())
            return await self._read_together(wanted, after, limit)

        return _in_turn

    async def _read_together(self, wanted: FeedFilter, after: Position, limit: int) -> FeedPage:
        """
        One read for all who wait and stand at the same place.

        They may get what was read a little earlier: what it misses wakes them.
        """
        key = (wanted, after, limit)
        reading = self._shared.get(key)
        if reading is None:
            reading = asyncio.create_task(self._read(wanted, after, limit))
            self._shared[key] = reading
            reading.add_done_callback(lambda done: self._share(key, done))
        return await asyncio.shield(reading)

    def _share(self, key: _Read, done: "asyncio.Task[FeedPage]") -> None:
        """Keep a page for a while if it has items: who got none has waited for others."""
        is_good = not done.cancelled() and done.exception() is None
        if is_good and done.result().items:
            asyncio.get_running_loop().call_later(_SHARED_SECONDS, self._shared.pop, key)
        else:
            del self._shared[key]

    def _pages_per_second(self) -> float:
        is_busy = self._metrics.storing.per_second > _BUSY_CALLBACKS_PER_SECOND
        return _BUSY_PAGES_PER_SECOND if is_busy else _PAGES_PER_SECOND


def make_feed(url: str, metrics: Metrics) -> Feed:
    """The feed of the database at *url*."""
    database = Database(url, name="feed", pool_items=POOL_ITEMS, session_settings=SESSION_SETTINGS)
    return Feed(database, metrics)
