import asyncio
import errno

import pytest

from app.domain.feed import BEGINNING, Position
from app.errors import DatabaseUnavailable
from app.services.feed.watcher import FeedWatcher


class Polled:
    """What a watcher polls."""

    def __init__(self) -> None:
        self.newest = BEGINNING
        self.polls = 0
        self.failures: list[BaseException] = []

    async def __call__(self) -> Position:
        self.polls += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.newest


async def test_nothing_is_polled_while_no_client_waits() -> None:
    polled = Polled()
    watcher = FeedWatcher(polled)
    assert not await watcher.wait_beyond(BEGINNING, within_seconds=0.2)
    await asyncio.sleep(0.3)
    polls = polled.polls
    assert polls >= 1
    await asyncio.sleep(0.4)
    assert polled.polls == polls
    watcher.close()


async def test_all_waiting_clients_share_a_poll_and_are_woken_by_it() -> None:
    polled = Polled()
    watcher = FeedWatcher(polled)
    waiting = [
        asyncio.create_task(watcher.wait_beyond(BEGINNING, within_seconds=10)) for _ in range(100)
    ]
    await asyncio.sleep(0.5)
    assert watcher.waiting == 100
    assert polled.polls <= 5
    polled.newest = Position(1, 5, 5)
    assert await asyncio.gather(*waiting) == [True] * 100
    assert watcher.waiting == 0
    assert not await watcher.wait_beyond(polled.newest, within_seconds=0.2)
    watcher.close()


@pytest.mark.parametrize(
    "failure",
    [
        DatabaseUnavailable("away"),
        RuntimeError("a defect"),
        MemoryError(),
        OSError(errno.EMFILE, "too many open files"),
        asyncio.CancelledError(),
    ],
)
async def test_a_poll_that_fails_is_repeated(failure: BaseException) -> None:
    polled = Polled()
    polled.failures, polled.newest = [failure], Position(1, 5, 5)
    watcher = FeedWatcher(polled)
    assert await watcher.wait_beyond(BEGINNING, within_seconds=10)
    watcher.close()


async def test_a_closed_watcher_releases_all_clients() -> None:
    watcher = FeedWatcher(Polled())
    waiting = asyncio.create_task(watcher.wait_beyond(BEGINNING, within_seconds=30))
    await asyncio.sleep(0.05)
    watcher.close()
    assert not await asyncio.wait_for(waiting, 20)
    assert not await asyncio.wait_for(watcher.wait_beyond(BEGINNING, within_seconds=30), 20)


async def test_replicas_that_differ_wake_no_client() -> None:
    """Only an advance counts, so that polls of two replicas in turn do not make clients spin."""
    positions = [Position(1, 9, 9), Position(1, 5, 5)]
    polls = 0

    async def _poll() -> Position:
        nonlocal polls
        polls += 1
        return positions[polls % 2]

    watcher = FeedWatcher(_poll)
    assert await watcher.wait_beyond(Position(1, 7, 7), within_seconds=5)
    seen = Position(1, 9, 9)
    assert not await watcher.wait_beyond(seen, within_seconds=1)
    assert polls >= 4
    assert watcher.has_nothing_beyond(seen)
    assert not watcher.has_nothing_beyond(Position(1, 7, 7))
    watcher.close()


async def test_a_client_whose_read_was_behind_reads_again_after_a_poll() -> None:
    polled = Polled()
    polled.newest = Position(1, 9, 9)
    watcher = FeedWatcher(polled)
    behind = Position(1, 5, 5)
    assert await watcher.wait_beyond(behind, within_seconds=5)
    for _ in range(3):
        polls = polled.polls
        assert await watcher.wait_beyond(behind, within_seconds=5)
        assert polled.polls > polls
    watcher.close()


async def test_a_client_whose_read_was_behind_is_released_on_shutdown() -> None:
    polled = Polled()
    polled.newest = Position(1, 9, 9)
    watcher = FeedWatcher(polled)
    behind = Position(1, 5, 5)
    assert await watcher.wait_beyond(behind, within_seconds=5)
    waiting = asyncio.create_task(watcher.wait_beyond(behind, within_seconds=30))
    await asyncio.sleep(0)
    watcher.close()
    assert not await asyncio.wait_for(waiting, 20)


async def test_a_client_that_reads_in_vain_reads_ever_less_often() -> None:
    polled = Polled()
    polled.newest = Position(1, 9, 9)
    watcher = FeedWatcher(polled)
    behind = Position(1, 5, 5)
    for in_vain, polls in ((0, 1), (1, 2), (2, 4), (3, 8)):
        before = polled.polls
        assert await watcher.wait_beyond(behind, within_seconds=60, in_vain=in_vain)
        assert polled.polls - before >= polls
    watcher.close()


async def test_an_advance_wakes_a_client_that_has_read_in_vain() -> None:
    polled = Polled()
    polled.newest = Position(1, 9, 9)
    watcher = FeedWatcher(polled)
    behind = Position(1, 5, 5)
    assert await watcher.wait_beyond(behind, within_seconds=60)
    waiting = asyncio.create_task(watcher.wait_beyond(behind, within_seconds=3600, in_vain=9))
    await asyncio.sleep(0.4)
    assert not waiting.done()
    polled.newest = Position(1, 10, 10)
    assert await asyncio.wait_for(waiting, 30)
    watcher.close()


async def test_after_a_restore_the_feed_is_as_far_as_the_database_is() -> None:
    polled = Polled()
    polled.newest = Position(3, 9, 9)
    watcher = FeedWatcher(polled)
    assert await watcher.wait_beyond(BEGINNING, within_seconds=30)
    polled.newest = Position(2, 1, 1)
    watcher.forget()
    assert not await watcher.wait_beyond(polled.newest, within_seconds=0.5)
    assert watcher.has_nothing_beyond(polled.newest)
    polled.newest = Position(2, 2, 2)
    assert await watcher.wait_beyond(Position(2, 1, 1), within_seconds=30)
    watcher.close()
