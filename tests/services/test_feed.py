import asyncio
import time
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from app.db.database import Database
from app.db.feed import SESSION_SETTINGS, CampaignKeys, FeedFilter, FeedPage
from app.db.feed_places import raise_floor
from app.domain.feed import BEGINNING, Kind, Position
from app.errors import DatabaseUnavailable
from app.observability.metrics import Metrics
from app.services import feed as services_feed
from app.services.feed import MAX_READS, POOL_ITEMS, Feed, Lookout, make_feed
from tests.database import connect
from tests.db.feed_stage import EVERYTHING, event, names, reply, store

CLIENTS = 500


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def feed(url: str, metrics: Metrics) -> AsyncIterator[Feed]:
    feed = make_feed(url, metrics)
    yield feed
    await feed.close()


def _shown(metrics: Metrics, name: str) -> float:
    value = metrics.registry.get_sample_value(name)
    assert value is not None
    return value


async def _eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (what it looks at tells nobody)
            await asyncio.sleep(0.01)


class Sea:
    """What a lookout looks at."""

    def __init__(self) -> None:
        self.newest = BEGINNING
        self.looks = 0
        self.failures: list[Exception] = []

    async def __call__(self) -> Position:
        self.looks += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.newest


async def test_nobody_looks_out_while_nobody_waits() -> None:
    sea = Sea()
    lookout = Lookout(sea)
    assert not await lookout.sees_beyond(BEGINNING, within_seconds=0.2)
    await asyncio.sleep(0.3)
    looks = sea.looks
    assert looks >= 1
    await asyncio.sleep(0.4)
    assert sea.looks == looks
    lookout.close()


async def test_all_who_wait_share_one_look_and_are_woken_by_it() -> None:
    sea = Sea()
    lookout = Lookout(sea)
    waiting = [
        asyncio.create_task(lookout.sees_beyond(BEGINNING, within_seconds=10)) for _ in range(100)
    ]
    await asyncio.sleep(0.5)
    assert lookout.waiting == 100
    assert sea.looks <= 5
    sea.newest = Position(1, 5, 5)
    assert await asyncio.gather(*waiting) == [True] * 100
    assert lookout.waiting == 0
    assert not await lookout.sees_beyond(sea.newest, within_seconds=0.2)
    lookout.close()


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), RuntimeError("a defect")])
async def test_a_look_that_fails_is_repeated(failure: Exception) -> None:
    sea = Sea()
    sea.failures, sea.newest = [failure], Position(1, 5, 5)
    lookout = Lookout(sea)
    assert await lookout.sees_beyond(BEGINNING, within_seconds=10)
    lookout.close()


async def test_a_closed_lookout_lets_everybody_go() -> None:
    lookout = Lookout(Sea())
    waiting = asyncio.create_task(lookout.sees_beyond(BEGINNING, within_seconds=30))
    await asyncio.sleep(0.05)
    lookout.close()
    assert not await asyncio.wait_for(waiting, 1)
    assert not await asyncio.wait_for(lookout.sees_beyond(BEGINNING, within_seconds=30), 1)


async def test_a_reader_who_does_not_wait_is_answered_at_once(feed: Feed) -> None:
    started = time.monotonic()
    page = await feed.page(EVERYTHING, after=BEGINNING, limit=10)
    assert (page.items, page.is_last) == ([], True)
    assert time.monotonic() - started < 1


async def test_a_reader_who_waits_is_answered_when_something_comes(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    waiting = asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=20))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await store(connection, event("m"))
    page = await asyncio.wait_for(waiting, 2)
    assert names(page.items) == ["m SENT"]


async def test_a_reader_waits_on_when_what_came_is_not_what_it_wants(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    wanted = FeedFilter(Kind.INBOUND, CampaignKeys("wanted", None))
    waiting = asyncio.create_task(feed.page(wanted, after=BEGINNING, limit=10, wait_seconds=20))
    await store(connection, event("m"), reply("m"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    awaited = reply(campaign="wanted")
    await store(connection, awaited)
    assert names((await asyncio.wait_for(waiting, 2)).items) == [awaited.message]


async def test_a_reader_who_has_waited_in_vain_gets_ahead_all_the_same(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m"))
    started = time.monotonic()
    wanted = FeedFilter(Kind.INBOUND)
    page = await feed.page(wanted, after=BEGINNING, limit=10, wait_seconds=0.6)
    assert page.items == []
    assert page.end == await feed.newest() > BEGINNING
    assert 0.5 < time.monotonic() - started < 2


async def test_500_who_wait_at_once_all_wake_and_share_few_connections(
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
        wanted = FeedFilter(campaign=CampaignKeys("c", None)) if number % 5 == 0 else EVERYTHING
        after, read = BEGINNING, set[str]()
        while len(read) < 20:
            page = await feed.page(wanted, after=after, limit=5 + number % 3, wait_seconds=20)
            read |= set(names(page.items))
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


async def test_who_waits_gets_for_a_second_what_another_at_that_place_got(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"))
    first = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    await store(connection, event("m2"))
    again = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    assert again is first
    assert feed.rendered(first, lambda _: b"made") is feed.rendered(again, lambda _: b"again")
    for limit, wait_seconds in ((9, 5), (10, 0)):
        page = await feed.page(EVERYTHING, after=BEGINNING, limit=limit, wait_seconds=wait_seconds)
        assert names(page.items) == ["m1 SENT", "m2 SENT"]
    await asyncio.sleep(1.1)
    late = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    assert names(late.items) == ["m1 SENT", "m2 SENT"]


async def test_what_a_shared_page_misses_comes_with_the_next(
    feed: Feed, connection: asyncpg.Connection
) -> None:
    await store(connection, event("m1"))
    await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    await store(connection, event("m2"))
    page = await feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=5)
    assert names(page.items) == ["m1 SENT"]
    page = await feed.page(EVERYTHING, after=page.end, limit=10, wait_seconds=5)
    assert names(page.items) == ["m2 SENT"]


async def test_a_failure_is_not_shared_with_who_comes_later(
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
        assert page.items == []


async def test_a_read_is_shared_with_those_alone_who_came_before_it_began(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = asyncio.Event(), 0

    async def _read(*_: object, **__: object) -> FeedPage:
        nonlocal begun
        begun += 1
        await gate.wait()
        return FeedPage((), BEGINNING, is_last=True)

    def _ask() -> list[asyncio.Task[FeedPage]]:
        asking = (
            feed.page(EVERYTHING, after=BEGINNING, limit=1),
            feed.page(EVERYTHING, after=BEGINNING, limit=1),
        )
        return [asyncio.create_task(one) for one in asking]

    monkeypatch.setattr(services_feed, "page_of_feed", _read)
    asked = []
    for reads in range(1, MAX_READS + 1):
        asked += _ask()
        await asyncio.sleep(0.01)
        assert begun == reads
    for _ in range(3):
        asked += _ask()
        await asyncio.sleep(0.01)
    assert begun == MAX_READS
    gate.set()
    pages = await asyncio.gather(*asked)
    assert begun == MAX_READS + 1
    assert len({id(page) for page in pages}) == MAX_READS + 1


async def test_who_waits_gives_way_to_many_callbacks(
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
    assert all(page.items for page in await asyncio.gather(*waiting))
    assert time.monotonic() - started >= 10 / 20
    over.set()
    await busy


@pytest.mark.parametrize(("callbacks", "pages"), [(0, 1000), (124, 1000), (126, 20)])
async def test_the_pace_follows_the_callbacks(
    feed: Feed, metrics: Metrics, callbacks: int, pages: int
) -> None:
    """Within a quarter of a second, as the traffic is measured."""
    metrics.storing.add(callbacks)
    assert feed._pages_per_second() == pages


async def test_closing_lets_those_go_who_wait(feed: Feed) -> None:
    waiting = asyncio.create_task(feed.page(EVERYTHING, after=BEGINNING, limit=10, wait_seconds=30))
    await asyncio.sleep(0.2)
    feed.let_go()
    page = await asyncio.wait_for(waiting, 1)
    assert page.items == []


async def test_a_long_writing_transaction_shows_in_the_metrics(
    url: str, metrics: Metrics, connection: asyncpg.Connection
) -> None:
    now = 100.0
    database = Database(url, name="feed", pool_items=1, session_settings=SESSION_SETTINGS)
    feed = Feed(database, metrics, clock=lambda: now)

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
