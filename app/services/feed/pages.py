"""Answering readers of the feed: at once, or as soon as there is an item for them."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from app.db.database import Database
from app.db.feed.pages import FeedFilter, FeedPage, page_of_feed
from app.db.feed.positions import newest_position, oldest_position, position_before, read_horizon
from app.domain.feed import Position
from app.errors import Overloaded
from app.kit.rate_limiter import RateLimiter
from app.kit.single_flight import SingleFlight
from app.observability.metrics import Metrics
from app.services.feed.watcher import FeedWatcher

#: Bounds the concurrent reads; more of them queue for a connection.
POOL_ITEMS: Final = 5
#: How long a client that does not wait is searched for items that are far between.
_SEARCH_SECONDS: Final = 1.0
#: From this rate of callbacks on, clients that wait for items give way to them.
_BUSY_CALLBACKS_PER_SECOND: Final = 500
#: How long waiting clients that poll from the same cursor share a page: 500 of them are woken one
#: after another, and are answered with one read.
_SHARED_SECONDS: Final = 1.0
#: How many clients of a process may wait at a time, those with a stream included.
MAX_CLIENTS: Final = 2000


class ServedPage(NamedTuple):
    """A page as it is answered, and where the feed goes on."""

    body: bytes
    is_empty: bool
    #: The position up to which the feed was read for it.
    end: Position
    #: Whether nothing more could be served when it was read.
    is_last: bool


class FeedForm(NamedTuple):
    """In which form pages are answered; readers that want the same one share a page."""

    #: The members of an item; None for all.
    members: frozenset[str] | None = None
    #: As server-sent events, not as one JSON object.
    as_events: bool = False
    #: As a batch of CloudEvents, not as one JSON object.
    as_cloud_events: bool = False


class _Read(NamedTuple):
    """What one read is about."""

    wanted: FeedFilter
    after: Position
    limit: int
    form: FeedForm


_USUAL: Final = FeedForm()


class Feed:
    """
    The feed as one process serves it.

    Two mechanisms keep the cost of many clients down: one `FeedWatcher` polls for all that wait,
    and a `SingleFlight` makes one read, and renders one body, for all that poll from the same
    cursor.

    Args:
        database: For the feed alone, with `POOL_ITEMS` connections.
        metrics: Where the waiting and the holding back is shown.
        render: Gives the body of a page in a form.
        busy_pages_per_second: How many pages all waiting clients get together while many callbacks
            are stored; 0 for no limit. A page costs as much as several callbacks.
        max_clients: How many may wait at a time, those with a stream included.
        clock: In seconds.
    """

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        database: Database,
        metrics: Metrics,
        *,
        render: Callable[[FeedPage, FeedForm], Awaitable[bytes]],
        busy_pages_per_second: int,
        max_clients: int = MAX_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._render = render
        self._busy_pages_per_second = busy_pages_per_second
        self._max_clients = max_clients
        self._clients = 0
        self._clock = clock
        self._pages = SingleFlight(
            self._read, keep_seconds=_SHARED_SECONDS, is_kept=lambda page: not page.is_empty
        )
        self._limiter = RateLimiter(self._pages_per_second)
        self._watcher = FeedWatcher(lambda: newest_position(database))
        self._xmin, self._xmin_since = 0, clock()
        metrics.sample_by(metrics.feed_waiting, lambda: self._watcher.waiting)

    @property
    def is_closed(self) -> bool:
        """Whether no client is to wait any more."""
        return self._watcher.is_closed

    def require_place(self) -> None:
        """
        Refuse a client that would wait while too many do.

        Raises:
            Overloaded: there are `max_clients` already.
        """
        if self._clients >= self._max_clients:
            raise Overloaded("Too many clients wait for the feed.", retry_after_seconds=5)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one client that waits, by a long poll or by a stream."""
        self.require_place()
        self._clients += 1
        try:
            yield
        finally:
            self._clients -= 1

    async def page(
        self,
        wanted: FeedFilter,
        *,
        after: Position,
        limit: int,
        wait_seconds: float = 0,
        form: FeedForm = _USUAL,
    ) -> ServedPage:
        """
        At most *limit* items beyond *after*, waited for if there are none yet.

        A client that does not wait gets a read that begins after this call. A client that waits
        may get a page that was read a moment ago: items never change their order, and an item that
        the page lacks is beyond its end, so it wakes the client when it comes back.

        Raises:
            CursorExpired: something beyond *after* has been removed.
            DatabaseUnavailable: the feed cannot be read, or too many reads queue.
        """
        until = self._clock() + wait_seconds
        search_until = self._clock() + max(wait_seconds, _SEARCH_SECONDS)
        if wait_seconds and self._watcher.has_nothing_beyond(after):
            page = await self._served(FeedPage((), after, is_last=True), form)
        else:
            page = await self._next_page(_Read(wanted, after, limit, form), wait_seconds, until)
        in_vain = 0
        while page.is_empty and await self._is_worth_reading_on(
            page, until, search_until, in_vain=in_vain
        ):
            end = page.end
            page = await self._next_page(_Read(wanted, end, limit, form), wait_seconds, until)
            in_vain = in_vain + 1 if page.end == end else 0
        return page

    async def newest(self) -> Position:
        """The position before everything that cannot be served yet."""
        return await newest_position(self._database)

    async def oldest(self) -> Position:
        """The position before everything that is kept."""
        return await oldest_position(self._database)

    async def before(self, instant: datetime) -> Position:
        """A position before everything that was received at or after *instant*."""
        return await position_before(self._database, instant)

    async def measure(self) -> None:
        """Record for how long the oldest writing transaction in the cluster holds the feed back."""
        horizon = await read_horizon(self._database)
        if horizon.xmin != self._xmin or horizon.xmin == horizon.xmax:
            self._xmin, self._xmin_since = horizon.xmin, self._clock()
        self._metrics.feed_held_back_seconds.set(self._clock() - self._xmin_since)
        self._metrics.feed_held_back_transactions.set(horizon.xmax - horizon.xmin)

    def forget(self) -> None:
        """Forget how far the feed was: the database may be another one."""
        self._watcher.forget()

    def release(self) -> None:
        """On shutdown: answer all clients that wait, and let no client wait any more."""
        self._watcher.close()
        self._limiter.close()

    def cut(self) -> None:
        """Cut the connections at once."""
        self._database.cut()

    async def close(self) -> None:
        """Release all clients and close the connections."""
        self.release()
        await self._database.close()

    async def _next_page(self, read: _Read, wait_seconds: float, until: float) -> ServedPage:
        if not wait_seconds:
            return await self._pages.fresh(read)
        if await self._limiter.wait(within_seconds=until - self._clock()):
            self._metrics.feed_pages_delayed.inc()
        return await self._pages.recent(read)

    async def _is_worth_reading_on(
        self, page: ServedPage, until: float, search_until: float, *, in_vain: int
    ) -> bool:
        """Return once there is more to read beyond the empty *page*, or the time is over."""
        now = self._clock()
        if page.is_last:
            return await self._watcher.wait_beyond(
                page.end, within_seconds=until - now, in_vain=in_vain
            )
        return now < search_until

    async def _read(self, read: _Read) -> ServedPage:
        wanted, after, limit, form = read
        page = await page_of_feed(self._database, wanted, after=after, limit=limit)
        return await self._served(page, form)

    async def _served(self, page: FeedPage, form: FeedForm) -> ServedPage:
        body = await self._render(page, form)
        return ServedPage(body, not page.items, page.end, page.is_last)

    def _pages_per_second(self) -> float:
        is_busy = self._metrics.storing.per_second > _BUSY_CALLBACKS_PER_SECOND
        return self._busy_pages_per_second if is_busy else 0


def make_feed(
    url: str,
    metrics: Metrics,
    *,
    render: Callable[[FeedPage, FeedForm], Awaitable[bytes]],
    busy_pages_per_second: int,
    max_clients: int = MAX_CLIENTS,
) -> Feed:
    """The feed of the database at *url*."""
    database = Database(url, name="feed", pool_items=POOL_ITEMS)
    return Feed(
        database,
        metrics,
        render=render,
        busy_pages_per_second=busy_pages_per_second,
        max_clients=max_clients,
    )
