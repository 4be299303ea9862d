import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Never

import pytest

from app.kit.batcher import Batcher, Full, TooLate

BUDGET_SECONDS = 0.2


class Flushes:
    """A flush that records each batch, and waits until its gate is open."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()

    async def __call__(self, items: Sequence[int]) -> Sequence[str]:
        self.batches.append(list(items))
        await self.gate.wait()
        return [f"done {item}" for item in items]


def batcher_of(
    flush: Callable[[Sequence[int]], Awaitable[Sequence[str]]],
    *,
    max_batch_items: int = 100,
    max_pending_items: int = 1000,
    budget_seconds: float = BUDGET_SECONDS,
) -> Batcher[int, str]:
    return Batcher(
        flush,
        max_batch_items=max_batch_items,
        max_pending_items=max_pending_items,
        budget_seconds=budget_seconds,
    )


async def _submitted(batcher: Batcher[int, str], *items: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await _settled()
    return tasks


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _ends(tasks: Sequence[asyncio.Task[str]]) -> list[str | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_item_that_finds_the_batcher_idle_is_flushed_at_once() -> None:
    flushes = Flushes()
    batcher = batcher_of(flushes)
    started = time.monotonic()
    for item in range(50):
        assert await batcher.submit(item) == f"done {item}"
    assert time.monotonic() - started < 0.1
    assert flushes.batches == [[item] for item in range(50)]


async def test_items_that_arrive_during_a_flush_are_the_next_batch() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes)
    tasks = await _submitted(batcher, 1)
    tasks += await _submitted(batcher, 2)
    tasks += await _submitted(batcher, 3, 4)
    assert flushes.batches == [[1]]
    flushes.gate.set()
    assert await _ends(tasks) == ["done 1", "done 2", "done 3", "done 4"]
    assert flushes.batches == [[1], [2, 3, 4]]


async def test_no_batch_is_larger_than_allowed() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes, max_batch_items=3)
    tasks = await _submitted(batcher, *range(8))
    flushes.gate.set()
    assert await _ends(tasks) == [f"done {item}" for item in range(8)]
    assert flushes.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_items_over_the_limit_are_refused_at_once_and_accepted_later() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes, max_pending_items=3, max_batch_items=1)
    tasks = await _submitted(batcher, 1, 2, 3)
    assert batcher.pending_items == 3
    with pytest.raises(Full):
        await batcher.submit(4)
    flushes.gate.set()
    await _ends(tasks)
    assert batcher.pending_items == 0
    assert await batcher.submit(5) == "done 5"
    assert flushes.batches == [[1], [2], [3], [5]]


async def test_a_stuck_flush_is_abandoned_and_the_next_batch_is_flushed_at_once() -> None:
    stuck = asyncio.Event()

    async def _flush(items: Sequence[int]) -> Sequence[str]:
        if 1 in items:
            await stuck.wait()
        return ["done"] * len(items)

    batcher = batcher_of(_flush)
    started = time.monotonic()
    first = await _submitted(batcher, 1, 1)
    await asyncio.sleep(BUDGET_SECONDS * 0.9)
    second = await _submitted(batcher, 2)
    assert [type(end) for end in await _ends(first)] == [TooLate, TooLate]
    assert await second[0] == "done"
    assert BUDGET_SECONDS <= time.monotonic() - started < BUDGET_SECONDS * 1.3


async def test_a_flush_that_ignores_its_cancellation_is_abandoned_too() -> None:
    release = asyncio.Event()

    async def _flush(items: Sequence[int]) -> Sequence[str]:
        while items[0] == 1 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return ["done"] * len(items)

    batcher = batcher_of(_flush)
    with pytest.raises(TooLate):
        await batcher.submit(1)
    assert await batcher.submit(2) == "done"
    release.set()
    await batcher.close()


async def test_an_item_that_waited_too_long_is_not_flushed() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes, max_batch_items=1)
    tasks = await _submitted(batcher, 1, 2, 3)
    assert [type(end) for end in await _ends(tasks)] == [TooLate] * 3
    assert flushes.batches == [[1]]


async def test_a_cancelled_caller_cancels_neither_its_neighbours_nor_its_item() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes)
    tasks = await _submitted(batcher, 0, 1, 2, 3)
    for cancelled in (tasks[0], tasks[2]):
        cancelled.cancel()
    await _settled()
    flushes.gate.set()
    ends = await _ends(tasks)
    assert [type(end) for end in ends] == [
        asyncio.CancelledError,
        str,
        asyncio.CancelledError,
        str,
    ]
    assert flushes.batches == [[0, 1, 2, 3]]


async def test_a_caller_that_is_cancelled_before_its_flush_leaves_its_item() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes)
    tasks = await _submitted(batcher, 1)
    tasks += await _submitted(batcher, 2, 3)
    tasks[1].cancel()
    flushes.gate.set()
    await _ends(tasks)
    assert flushes.batches == [[1], [2, 3]]


async def test_an_error_of_a_flush_reaches_all_callers_of_its_batch_and_no_others() -> None:
    async def _flush(items: Sequence[int]) -> Sequence[str]:
        await asyncio.sleep(0)
        if 1 in items:
            raise ValueError("refused")
        return ["done"] * len(items)

    batcher = batcher_of(_flush, max_batch_items=2)
    ends = await _ends(await _submitted(batcher, 1, 2, 3))
    assert [type(end) for end in ends] == [ValueError, ValueError, str]


async def test_a_flush_that_raises_before_its_first_await_does_not_stop_the_batcher() -> None:
    def _flush(items: Sequence[int]) -> Awaitable[Sequence[str]]:
        async def _done() -> Sequence[str]:
            return ["done"] * len(items)

        if items == [1]:
            raise ValueError("refused")
        return _done()

    batcher = batcher_of(_flush, max_batch_items=1)
    ends = await _ends(await _submitted(batcher, 1, 2))
    assert [type(end) for end in ends] == [ValueError, str]
    assert batcher.pending_items == 0


async def test_a_flush_that_cancels_itself_is_too_late_for_its_batch_only() -> None:
    async def _flush(items: Sequence[int]) -> Sequence[str]:
        if 1 in items:
            raise asyncio.CancelledError
        return ["done"] * len(items)

    batcher = batcher_of(_flush, max_batch_items=1)
    ends = await _ends(await _submitted(batcher, 1, 2))
    assert [type(end) for end in ends] == [TooLate, str]


async def test_close_flushes_accepted_items_and_accepts_no_more() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes, max_batch_items=1)
    tasks = await _submitted(batcher, 1, 2)
    closing = asyncio.create_task(batcher.close())
    await _settled()
    assert not closing.done()
    with pytest.raises(Full):
        await batcher.submit(3)
    flushes.gate.set()
    await closing
    assert [task.result() for task in tasks] == ["done 1", "done 2"]
    with pytest.raises(Full):
        await batcher.submit(4)


async def test_close_waits_for_an_abandoned_flush_but_not_for_ever() -> None:
    async def _flush(_items: Sequence[int]) -> Sequence[str]:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if asyncio.get_running_loop().time() > end:
                    raise

    end = asyncio.get_running_loop().time() + 10 * BUDGET_SECONDS
    batcher = batcher_of(_flush)
    with pytest.raises(TooLate):
        await batcher.submit(1)
    started = time.monotonic()
    await batcher.close()
    assert time.monotonic() - started < 2 * BUDGET_SECONDS
    end = 0


async def test_an_idle_batcher_closes_at_once() -> None:
    await batcher_of(Flushes()).close()


async def test_no_exception_is_reported_as_unretrieved() -> None:
    """Neither for callers that left, nor for flushes that fail after they were abandoned."""

    async def _flush(items: Sequence[int]) -> Sequence[str]:
        if 1 in items:
            raise ValueError("its caller was cancelled")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("the connection broke just then") from None
        raise AssertionError

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    batcher = batcher_of(_flush, max_batch_items=1)
    tasks = await _submitted(batcher, 1, 2)
    tasks[0].cancel()
    await _ends(tasks)
    await batcher.close()
    del tasks
    await _settled()
    gc.collect()
    assert reported == []


async def test_every_batch_ends_within_the_budget_whatever_the_flush_does() -> None:
    async def _stuck(_items: Sequence[int]) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def _slow(items: Sequence[int]) -> Sequence[str]:
        await asyncio.sleep(BUDGET_SECONDS / 3)
        return ["done"] * len(items)

    async def _raising(_items: Sequence[int]) -> Sequence[str]:
        await asyncio.sleep(BUDGET_SECONDS / 3)
        raise OSError

    async def _cancelled(_items: Sequence[int]) -> Sequence[str]:
        raise asyncio.CancelledError

    behaviours = [_stuck, _slow, _raising, _cancelled]

    async def _flush(items: Sequence[int]) -> Sequence[str]:
        return await behaviours[items[0] % len(behaviours)](items)

    batcher = batcher_of(_flush, max_batch_items=4)
    loop = asyncio.get_running_loop()

    async def _timed(item: int) -> float:
        started = loop.time()
        await asyncio.gather(batcher.submit(item), return_exceptions=True)
        return loop.time() - started

    timed = []
    for item in range(150):
        timed.append(asyncio.create_task(_timed(item)))
        await asyncio.sleep(0.01)
    durations = await asyncio.gather(*timed)
    assert max(durations) < BUDGET_SECONDS * 1.5
    assert batcher.pending_items == 0


async def test_a_cancelled_runner_leaves_no_caller_waiting_and_is_replaced() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes, max_batch_items=1, budget_seconds=60)
    tasks = await _submitted(batcher, 1, 2)
    assert batcher._runner is not None
    batcher._runner.cancel()
    assert [type(end) for end in await asyncio.wait_for(_ends(tasks), 30)] == [TooLate, TooLate]
    assert batcher.pending_items == 0
    flushes.gate.set()
    assert await batcher.submit(3) == "done 3"


_ABANDONED_LOOP = """
import asyncio
from app.kit.batcher import Batcher

async def flush(items):
    await asyncio.Event().wait()

async def main():
    batcher = Batcher(flush, max_batch_items=1, max_pending_items=9, budget_seconds=60)
    tasks = [asyncio.create_task(batcher.submit(item)) for item in range(3)]
    await asyncio.sleep(0.05)

asyncio.run(main())
"""


def test_a_loop_that_ends_in_the_middle_of_a_flush_does_end() -> None:
    subprocess.run(  # noqa: S603 (our own interpreter and program)
        [sys.executable, "-c", _ABANDONED_LOOP], check=True, timeout=20
    )


async def _never(_items: Sequence[int]) -> Never:
    raise AssertionError


async def test_without_items_nothing_is_flushed() -> None:
    batcher = batcher_of(_never)
    await _settled()
    assert batcher.pending_items == 0


async def test_put_reports_the_outcome() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes)
    outcomes: list[str | BaseException] = []
    batcher.put(1, outcomes.append)
    batcher.put(2, outcomes.append)
    tasks = await _submitted(batcher, 3)
    assert outcomes == []
    flushes.gate.set()
    assert await _ends(tasks) == ["done 3"]
    assert outcomes == ["done 1", "done 2"]


async def test_put_reports_an_error() -> None:
    async def fails(_: Sequence[int]) -> Sequence[str]:
        raise ValueError

    outcomes: list[str | BaseException] = []
    batcher_of(fails).put(1, outcomes.append)
    await _settled()
    assert [type(outcome) for outcome in outcomes] == [ValueError]


async def test_put_reports_that_a_flush_took_too_long() -> None:
    outcomes: list[str | BaseException] = []
    batcher_of(Flushes(held=True), budget_seconds=0.02).put(1, outcomes.append)
    await asyncio.sleep(0.1)
    assert [type(outcome) for outcome in outcomes] == [TooLate]


async def test_a_failing_callback_does_not_keep_the_others_from_being_called() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    outcomes: list[str | BaseException] = []
    batcher = batcher_of(Flushes())

    def fails(_: str | BaseException) -> None:
        raise ValueError

    batcher.put(1, fails)
    batcher.put(2, outcomes.append)
    await _settled()
    assert outcomes == ["done 2"]
    assert [type(context["exception"]) for context in reported] == [ValueError]


async def test_a_heavy_batch_takes_no_more_items() -> None:
    flushes = Flushes(held=True)
    batcher: Batcher[int, str] = Batcher(
        flushes,
        max_batch_items=100,
        max_pending_items=100,
        budget_seconds=BUDGET_SECONDS,
        max_batch_weight=10,
        max_pending_weight=25,
    )
    outcomes: list[str | BaseException] = []
    for item, weight in ((1, 6), (2, 6), (3, 6), (4, 6)):
        batcher.put(item, outcomes.append, weight=weight)
    with pytest.raises(Full):
        batcher.put(5, outcomes.append, weight=6)
    flushes.gate.set()
    await _settled()
    assert flushes.batches == [[1, 2], [3, 4]]
    batcher.put(6, outcomes.append, weight=25)
    await _settled()
    assert outcomes == [f"done {item}" for item in (1, 2, 3, 4, 6)]


async def _slow(items: Sequence[int]) -> Sequence[str]:
    await asyncio.sleep(0.05)
    return [f"done {item}" for item in items]


async def test_no_more_items_wait_than_can_be_flushed_in_half_of_the_budget() -> None:
    batcher = batcher_of(_slow, max_batch_items=1, budget_seconds=0.4)
    for item in range(10):
        await batcher.submit(item)
    outcomes: list[str | BaseException] = []
    taken = 0
    with suppress(Full):
        for item in range(20):
            batcher.put(item, outcomes.append)
            taken += 1
    assert taken in range(3, 6)
    assert not batcher.has_room()
    await asyncio.sleep(0.5)
    assert outcomes == [f"done {item}" for item in range(taken)]
    assert await batcher.submit(1) == "done 1"


async def test_has_room_says_whether_items_would_be_accepted() -> None:
    flushes = Flushes(held=True)
    batcher = Batcher(
        flushes,
        max_batch_items=2,
        max_pending_items=5,
        max_pending_weight=50,
        budget_seconds=BUDGET_SECONDS,
    )
    assert batcher.has_room(items=5, weight=50)
    assert not batcher.has_room(items=6)
    assert not batcher.has_room(weight=51)
    waiting = await _submitted(batcher, 1, 2, 3)
    assert batcher.has_room(items=2)
    assert not batcher.has_room(items=3)
    flushes.gate.set()
    await _ends(waiting)
    await batcher.close()
    assert not batcher.has_room()


async def test_a_batch_that_cannot_be_flushed_in_time_is_not_begun() -> None:
    flushes = Flushes()
    seconds = 0.04

    async def flush(items: Sequence[int]) -> Sequence[str]:
        await asyncio.sleep(seconds)
        return await flushes(items)

    batcher = batcher_of(flush, max_batch_items=1, budget_seconds=0.2)
    for item in range(10):
        await batcher.submit(item)
    seconds = 0.17
    tasks = await _submitted(batcher, 10, 11)
    assert [type(outcome) for outcome in await _ends(tasks)] == [str, TooLate]
    assert flushes.batches[-1] == [10]


async def test_after_a_flush_that_took_too_long_the_next_is_tried() -> None:
    flushes = Flushes(held=True)
    batcher = batcher_of(flushes, budget_seconds=0.05)
    for item in range(30):
        assert [type(end) for end in await _ends(await _submitted(batcher, item))] == [TooLate]
    flushes.gate.set()
    assert await batcher.submit(99) == "done 99"


async def test_a_flush_that_forgets_an_item_fails_its_batch_and_leaves_nobody_waiting() -> None:
    async def _forget(items: Sequence[int]) -> Sequence[str]:
        return [f"done {item}" for item in items if item != 2]

    batcher = batcher_of(_forget)
    outcomes: list[str | BaseException] = []
    for item in (1, 2, 3):
        batcher.put(item, outcomes.append)
    await _settled()
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert batcher.pending_items == 0
    assert await batcher.submit(4) == "done 4"


@pytest.mark.parametrize("failure", [MemoryError(), OSError(24, "too many open files")])
async def test_a_flush_that_fails_once_is_followed_by_the_next(failure: Exception) -> None:
    failures = [failure]

    async def _flush(items: Sequence[int]) -> Sequence[str]:
        if failures:
            raise failures.pop()
        return [f"done {item}" for item in items]

    batcher = batcher_of(_flush)
    with pytest.raises(type(failure)):
        await batcher.submit(1)
    assert await batcher.submit(2) == "done 2"
