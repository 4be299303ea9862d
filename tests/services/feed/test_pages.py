import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database import Database
from app.db.feed.pages import CampaignKeys, FeedFilter, FeedPage
from app.db.feed.positions import raise_floor
from app.domain.feed import BEGINNING, FeedItemType, Position
from app.errors import DatabaseUnavailable
from app.observability.metrics import Metrics
from app.services.feed import pages as services_feed
from app.services.feed.pages import POOL_ITEMS, Feed, FeedForm, ServedPage, make_feed
from tests.conftest import fresh_database
from tests.database import connect
from tests.db.feed.feed_stage import EVERYTHING, event, names, reply, store

CLIENTS = 500


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def feed(url: str, metrics: Metrics) -> AsyncIterator[Feed]:
    feed = make_feed(url, metrics, render=_render, busy_pages_per_second=20)
    yield feed
    await feed.close()


def _shown(metrics: Metrics, name: str) -> float:
    metrics.sample()
    value = metrics.registry.get_sample_value(name)
    assert value is not None
    return value


async def _eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (a metric has no event to await)
            await asyncio.sleep(0.01)


async def _render(page: FeedPage, form: FeedForm) -> bytes:
    del form
    return "\n".join(names(page.items)).encode()


def _names(page: ServedPage) -> list[str]:
    return page.body.decode().splitlines()


async def test_a_client_that_does_not_wait_is_answered_at_once(feed: Feed) -> None:
    started = time.monotonic()
    page = await feed.page(EVERYTHING, after=BEGINNING, limit=10)
    assert (_names(page), page.is_last) == ([], True)
    assert time.monotonic() - started < 1


async def test_a_client_that_waits_is_answered_when_an_item_comes(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    waiting = asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=20))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await store(connection, event("m"))
    page = await asyncio.wait_for(waiting, 15)
    assert _names(page) == ["m SENT"]


async def test_a_client_waits_on_when_the_new_item_is_not_wanted(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    wanted = FeedFilter((FeedItemType.INBOUND,), (CampaignKeys("wanted", None),))
    waiting = asyncio.create_task(feed.page(wanted, after=BEGINNING, limit=10, wait_seconds=20))
    await store(connection, event("m"), reply("m"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    awaited = reply(campaign="wanted")
    await store(connection, awaited)
    assert _names(await asyncio.wait_for(waiting, 15)) == [awaited.message]


async def test_a_client_that_has_waited_in_vain_gets_a_later_cursor(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    started = time.monotonic()
    wanted = FeedFilter((FeedItemType.INBOUND,))
    page = await feed.page(wanted, after=BEGINNING, limit=10, wait_seconds=0.6)
    assert page.is_empty
    assert page.end == await feed.newest() > BEGINNING
    assert 0.5 < time.monotonic() - started < 2


async def test_500_waiting_clients_all_wake_and_share_few_connections(
    url: str, feed: Feed, metrics: Metrics, connection: asyncpg.Connection
) -> None:
    seen = 0
    enough = asyncio.Event()

    async def _count_connections() -> None:
        nonlocal seen
        watcher = await connect(url)
        while not enough.is_set():
            open_now = await watcher.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'routee-receiver feed'"
            )
            seen = max(seen, open_now)
            await asyncio.sleep(0.01)
        await watcher.close()

    async def _follow(number: int) -> set[str]:
        """Read until everything has come, however it is cut into pages."""
        wanted = FeedFilter(campaigns=(CampaignKeys("c", None),)) if number % 5 == 0 else EVERYTHING
        after, read = BEGINNING, set[str]()
        while len(read) < 20:
            page = await feed.page(wanted, after=after, limit=5 + number % 3, wait_seconds=20)
            read |= set(_names(page))
            after = page.end
        return read

    counting = asyncio.create_task(_count_connections())
    clients = [asyncio.create_task(_follow(number)) for number in range(CLIENTS)]
    await _eventually(lambda: _shown(metrics, "receiver_feed_waiting") == CLIENTS)
    for number in range(20):
        await store(connection, event(f"m{number}"))
        await asyncio.sleep(0.02)
    everything = {f"m{number} SENT" for number in range(20)}
    async with asyncio.timeout(30):
        assert await asyncio.gather(*clients) == [everything] * CLIENTS
    enough.set()
    await counting
    assert 1 <= seen <= POOL_ITEMS


async def test_waiting_clients_share_the_page_of_a_cursor_for_a_second(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"))
    first = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    await store(connection, event("m2"))
    again = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    assert again is first
    assert again.body is first.body
    for limit, wait_seconds in ((9, 5), (10, 0)):
        page = await feed.page(EVERYTHING, after=BEGINNING, limit=limit, wait_seconds=wait_seconds)
        assert _names(page) == ["m1 SENT", "m2 SENT"]
    await asyncio.sleep(1.1)
    late = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    assert _names(late) == ["m1 SENT", "m2 SENT"]


async def test_an_item_that_a_shared_page_lacks_is_on_the_next_page(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"))
    await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    await store(connection, event("m2"))
    page = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    assert _names(page) == ["m1 SENT"]
    page = await feed.page(EVERYTHING, after=page.end, limit=10, wait_seconds=5)
    assert _names(page) == ["m2 SENT"]


async def test_a_failure_is_not_shared_with_later_clients(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def _fail(*_: object, **__: object) -> FeedPage:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(services_feed, "page_of_feed", _fail)
        for wait_seconds in (0, 5):
            with pytest.raises(DatabaseUnavailable):
                await feed.page(EVERYTHING, after=BEGINNING, limit=1, wait_seconds=wait_seconds)
    for patience in (0, 0.1):
        page = await feed.page(EVERYTHING, after=BEGINNING, limit=1, wait_seconds=patience)
        assert page.is_empty


async def test_clients_share_a_read_that_begins_after_they_asked(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = asyncio.Event(), 0

    async def _read(*_: object, **__: object) -> FeedPage:
        nonlocal begun
        begun += 1
        await gate.wait()
        return FeedPage((), BEGINNING, is_last=True)

    def _ask(limit: int = 1) -> list[asyncio.Task[ServedPage]]:
        return [
            asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=limit))
            for _ in range(2)
        ]

    monkeypatch.setattr(services_feed, "page_of_feed", _read)
    first = asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=1))
    await asyncio.sleep(0.01)
    later = []
    for _ in range(3):
        later += _ask()
        await asyncio.sleep(0.01)
        assert begun == 1
    other = _ask(limit=2)
    await asyncio.sleep(0.01)
    assert begun == 2
    gate.set()
    page, pages = await first, await asyncio.gather(*later)
    await asyncio.gather(*other)
    assert {id(one) for one in pages} == {id(pages[0])} != {id(page)}
    assert begun == 4


async def test_reads_beyond_the_connections_queue(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    reads = [feed.page(EVERYTHING, after=BEGINNING, limit=limit) for limit in range(1, 101)]
    assert all(_names(page) == ["m SENT"] for page in await asyncio.gather(*reads))
    opened = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'routee-receiver feed'"
    )
    assert opened == POOL_ITEMS


async def test_a_client_rereads_once_per_poll_while_its_replica_is_behind(
    feed: Feed, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(connection, event("m"))
    reads = 0

    async def _read_behind(*_: object, after: Position, **__: object) -> FeedPage:
        nonlocal reads
        reads += 1
        return FeedPage((), after, is_last=True)

    with monkeypatch.context() as patched:
        patched.setattr(services_feed, "page_of_feed", _read_behind)
        waiting = asyncio.create_task(
            feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=20)
        )
        await asyncio.sleep(1)
    assert 2 <= reads <= 10
    assert _names(await asyncio.wait_for(waiting, 15)) == ["m SENT"]


async def test_clients_that_wait_give_way_to_many_callbacks(
    feed: Feed, metrics: Metrics, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    over = asyncio.Event()

    async def _be_busy() -> None:
        while not over.is_set():
            metrics.storing.add(1000)
            await asyncio.sleep(0.05)

    busy = asyncio.create_task(_be_busy())
    await asyncio.sleep(0.3)
    started = time.monotonic()
    waiting = [
        feed.page(EVERYTHING, after=BEGINNING, limit=limit, wait_seconds=20)
        for limit in range(1, 12)
    ]
    assert all(not page.is_empty for page in await asyncio.gather(*waiting))
    assert time.monotonic() - started >= 10 / 20
    assert _shown(metrics, "receiver_feed_pages_delayed_total") == 10
    over.set()
    await busy


async def test_in_calm_times_no_page_is_delayed(
    feed: Feed, metrics: Metrics, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    for limit in range(1, 12):
        await feed.page(EVERYTHING, after=BEGINNING, limit=limit, wait_seconds=20)
    assert _shown(metrics, "receiver_feed_pages_delayed_total") == 0


@pytest.mark.parametrize(("callbacks", "pages"), [(0, 0), (124, 0), (126, 20)])
async def test_the_limit_holds_while_callbacks_are_many(
    feed: Feed, metrics: Metrics, callbacks: int, pages: int
) -> None:
    """Within a quarter of a second, the window of the throughput."""
    metrics.storing.add(callbacks)
    assert feed._pages_per_second() == pages


async def test_zero_pages_per_second_are_no_limit(url: str, metrics: Metrics) -> None:
    feed = make_feed(url, metrics, render=_render, busy_pages_per_second=0)
    metrics.storing.add(100_000)
    assert feed._pages_per_second() == 0
    await feed.close()


async def test_shutdown_releases_waiting_clients(feed: Feed) -> None:
    waiting = asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=30))
    await asyncio.sleep(0.2)
    feed.release()
    page = await asyncio.wait_for(waiting, 20)
    assert page.is_empty


async def test_a_long_writing_transaction_shows_in_the_metrics(
    url: str, metrics: Metrics, connection: asyncpg.Connection
) -> None:
    now = 100.0
    database = Database(url, name="feed", pool_items=1)
    feed = Feed(database, metrics, render=_render, busy_pages_per_second=20, clock=lambda: now)

    async def _measured() -> float:
        await feed.measure()
        return _shown(metrics, "receiver_feed_held_back_seconds")

    await _measured()
    async with connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        async with database.writing() as session:
            await raise_floor(session, Position(1, 1, 1))
        await _measured()
        now += 60
        assert await _measured() == 60
        assert _shown(metrics, "receiver_feed_held_back_transactions") >= 1
    now += 60
    assert await _measured() == 0
    await feed.close()


class _Balanced(Database):
    """Two replicas behind one address: reads of pages come from the one that is behind."""

    def __init__(self, ahead: str, behind: str) -> None:
        super().__init__(ahead, name="ahead", pool_items=2)
        self._behind = Database(behind, name="behind", pool_items=2)
        self.pages_read = 0

    @asynccontextmanager
    async def reading(
        self, *, planner: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        self.pages_read += planner is not None
        reading = super().reading() if planner is None else self._behind.reading(planner=planner)
        async with reading as session:
            yield session

    async def close(self) -> None:
        await self._behind.close()
        await super().close()


@pytest.fixture
def behind_url(server_url: str) -> Iterator[str]:
    """The replica that is behind."""
    with fresh_database(server_url) as url:
        yield url


async def test_replicas_that_differ_do_not_make_a_client_spin_and_it_gets_all_in_the_end(
    url: str, connection: asyncpg.Connection, behind_url: str, metrics: Metrics
) -> None:
    behind = await connect(behind_url)
    balanced = _Balanced(url, behind_url)
    feed = Feed(balanced, metrics, render=_render, busy_pages_per_second=20)
    await store(connection, event("m1"))
    waiting = asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=50))
    await asyncio.sleep(3)
    assert not waiting.done()
    assert balanced.pages_read <= 5
    await store(behind, event("m1"))
    await store(connection, event("m2"))
    assert _names(await asyncio.wait_for(waiting, 30)) == ["m1 SENT"]
    await feed.close()
    await behind.close()
