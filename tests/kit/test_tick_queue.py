import asyncio
from collections.abc import Sequence

from app.kit.tick_queue import TickQueue


async def test_items_put_in_one_tick_are_handled_together_in_the_next() -> None:
    handled: list[Sequence[int]] = []
    queue = TickQueue(handled.append, max_items=10)
    for item in range(3):
        queue.put(item)
    assert not handled
    assert len(queue) == 3
    await asyncio.sleep(0)
    assert handled == [[0, 1, 2]]
    assert len(queue) == 0


async def test_items_over_the_limit_are_handled_in_order_in_later_ticks() -> None:
    handled: list[Sequence[int]] = []
    queue = TickQueue(handled.append, max_items=2)
    for item in range(3):
        queue.put(item)
    await asyncio.sleep(0)
    queue.put(3)
    queue.put(4)
    for _ in range(3):
        await asyncio.sleep(0)
    assert handled == [[0, 1], [2, 3], [4]]


async def test_a_tick_handles_a_part_of_a_long_queue() -> None:
    handled: list[Sequence[int]] = []
    queue = TickQueue(handled.append, max_items=2, parts=3)
    for item in range(12):
        queue.put(item)
    for _ in range(5):
        await asyncio.sleep(0)
    assert [len(items) for items in handled] == [4, 2, 2, 2, 2]
    assert [item for items in handled for item in items] == list(range(12))


async def test_other_callbacks_run_in_between() -> None:
    order: list[object] = []
    queue = TickQueue(order.extend, max_items=1)
    queue.put(1)
    queue.put(2)
    asyncio.get_running_loop().call_soon(order.append, "another")
    for _ in range(3):
        await asyncio.sleep(0)
    assert order == [1, "another", 2]


async def test_an_error_does_not_keep_the_rest_from_being_handled() -> None:
    handled: list[int] = []
    errors: list[object] = []

    def _fails_once(items: Sequence[int]) -> None:
        if 1 in items:
            raise ValueError
        handled.extend(items)

    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: errors.append(context["exception"])
    )
    queue = TickQueue(_fails_once, max_items=1)
    queue.put(1)
    queue.put(2)
    for _ in range(2):
        await asyncio.sleep(0)
    assert handled == [2]
    assert len(errors) == 1


async def test_items_behind_a_tick_that_failed_are_handled_all_the_same() -> None:
    handled: list[Sequence[int]] = []
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def _handle(items: Sequence[int]) -> None:
        if 1 in items:
            raise MemoryError
        handled.append(items)

    queue = TickQueue(_handle, max_items=2)
    for item in range(5):
        queue.put(item)
    for _ in range(4):
        await asyncio.sleep(0)
    queue.put(5)
    await asyncio.sleep(0)
    assert handled == [[2, 3], [4], [5]]
    assert len(reported) == 1
