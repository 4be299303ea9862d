import asyncio
import errno
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from app.errors import DatabaseUnavailable
from app.services.duties import Duty, performed

OFTEN = timedelta(milliseconds=5)


class Work:
    """Counts how often it is done, and ends as it is told."""

    def __init__(self, *endings: BaseException | None) -> None:
        self._endings = list(endings)
        self.times = 0
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        if not self._endings:
            self.done.set()
            return
        ending = self._endings.pop(0)
        if ending is not None:
            raise ending

    async def is_done_again(self) -> None:
        await asyncio.wait_for(self.done.wait(), 30)


async def test_a_duty_is_done_again_and_again() -> None:
    work = Work(None, None, None)
    async with performed(Duty("work", OFTEN, work)):
        await work.is_done_again()
    assert work.times == 4


@pytest.mark.parametrize(
    "failure",
    [
        DatabaseUnavailable("away"),
        RuntimeError("a defect"),
        asyncio.CancelledError(),
        TimeoutError(),
        MemoryError(),
        RecursionError(),
        OSError(errno.EMFILE, "too many open files"),
        ExceptionGroup("several", [OSError(), ValueError()]),
    ],
)
async def test_a_duty_that_fails_once_is_not_given_up(failure: BaseException) -> None:
    work, failed = Work(failure), list[str]()
    async with performed(
        Duty("work", OFTEN, work),
        noted=lambda name, is_done: None if is_done else failed.append(name),
    ):
        await work.is_done_again()
    assert failed == ["work"]


async def test_a_duty_that_fails_does_not_stop_another() -> None:
    failing, other = Work(*[RuntimeError()] * 1000), Work()
    async with performed(Duty("failing", OFTEN, failing), Duty("other", OFTEN, other)):
        await other.is_done_again()
        other.done.clear()
        await other.is_done_again()
    assert failing.times > 0


async def test_after_the_block_nothing_is_done_any_more() -> None:
    work = Work()
    async with performed(Duty("work", OFTEN, work)):
        await work.is_done_again()
    times = work.times
    await asyncio.sleep(OFTEN.total_seconds() * 10)
    assert work.times == times


async def test_leaving_the_block_does_not_wait_for_a_duty_that_hangs() -> None:
    started = asyncio.Event()

    async def _hang() -> None:
        started.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        async with performed(Duty("hang", OFTEN, _hang)):
            await started.wait()


async def test_a_duty_waits_longer_while_nothing_is_stored() -> None:
    work, stored = Work(), [0]
    idle = timedelta(hours=1)
    async with performed(Duty("work", OFTEN, work, idle), stored=lambda: stored[0]):
        await asyncio.sleep(20 * OFTEN.total_seconds())
        assert work.times == 0
        stored[0] += 1
        await work.is_done_again()
        assert work.times == 1


async def test_what_is_stored_while_a_duty_is_done_is_seen_by_the_next_one() -> None:
    stored, times = [0], [0]
    done_twice = asyncio.Event()

    async def _work() -> None:
        times[0] += 1
        if times[0] == 1:
            stored[0] += 1
        else:
            done_twice.set()

    duty = Duty("work", OFTEN, _work, timedelta(hours=1))
    async with performed(duty, stored=lambda: stored[0]):
        await asyncio.sleep(0)
        stored[0] += 1
        await asyncio.wait_for(done_twice.wait(), 30)


async def test_an_idle_duty_is_done_all_the_same() -> None:
    work = Work()
    async with performed(Duty("work", OFTEN, work, 3 * OFTEN)):
        await work.is_done_again()


async def test_a_duty_that_keeps_failing_is_logged_once_in_a_while_and_when_it_succeeds() -> None:
    work = Work(*(DatabaseUnavailable("away") for _ in range(20)))
    with capture_logs() as logs:
        async with performed(Duty("work", OFTEN, work)):
            await work.is_done_again()
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("duty postponed", "warning"),
        ("duty succeeds again", "info"),
    ]
    assert logs[-1]["failures"] == 20
