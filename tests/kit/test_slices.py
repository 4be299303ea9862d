"""Work in slices: whatever its size, the loop handles everything else between two of them."""

import asyncio
from itertools import count

from app.kit.slices import Slices

_ITEMS = 40


async def _ticks_during(*works: "asyncio.Task[list[int]]") -> int:
    """How many ticks of the loop pass until *works* are done."""
    ticks = 0
    while not all(work.done() for work in works):
        await asyncio.sleep(0)
        ticks += 1
    return ticks


def _slices_of(items: int) -> Slices:
    """Slices of so many items, by a clock that advances with each item."""
    clock = count()
    return Slices(seconds=items, clock=lambda: next(clock))


async def test_the_results_are_in_the_order_of_the_items() -> None:
    assert await _slices_of(3).mapped(lambda item: item * 2, range(10)) == list(range(0, 20, 2))
    assert await _slices_of(3).mapped(str, []) == []


async def test_the_loop_runs_between_two_slices() -> None:
    work = asyncio.create_task(_slices_of(4).mapped(int, range(_ITEMS)))
    assert await _ticks_during(work) >= _ITEMS // 4


async def test_many_callers_take_one_slice_in_each_tick_together() -> None:
    slices = _slices_of(4)
    done: list[int] = []
    works = [asyncio.create_task(slices.mapped(done.append, range(_ITEMS))) for _ in range(5)]
    most, before = 0, 0
    while not all(work.done() for work in works):
        await asyncio.sleep(0)
        most, before = max(most, len(done) - before), len(done)
    assert len(done) == 5 * _ITEMS
    assert most <= 5


async def test_short_work_does_not_wait_until_long_work_is_done() -> None:
    slices = _slices_of(4)
    long = asyncio.create_task(slices.mapped(int, range(1000)))
    await asyncio.sleep(0)
    assert await slices.mapped(int, [7]) == [7]
    assert not long.done()
    await long


async def test_an_error_ends_its_own_work_alone() -> None:
    slices = _slices_of(4)
    failing = asyncio.create_task(slices.mapped(lambda item: 1 // (item - 9), range(_ITEMS)))
    working = asyncio.create_task(slices.mapped(int, range(_ITEMS)))
    outcomes = await asyncio.gather(failing, working, return_exceptions=True)
    assert isinstance(outcomes[0], ZeroDivisionError)
    assert outcomes[1] == list(range(_ITEMS))
