import asyncio

import pytest

from app.kit.pace import Pace
from app.kit.traffic import Traffic


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    pace, order = Pace(lambda: 100), list[int]()

    async def _take(number: int) -> None:
        await pace.turn(within_seconds=10)
        order.append(number)

    await asyncio.gather(*(_take(number) for number in range(10)))
    assert order == list(range(10))


async def test_a_crowd_is_spread_over_time() -> None:
    loop, pace = asyncio.get_running_loop(), Pace(lambda: 100)
    started = loop.time()
    await asyncio.gather(*(pace.turn(within_seconds=10) for _ in range(21)))
    assert loop.time() - started >= 0.19


async def test_nobody_waits_longer_than_asked() -> None:
    pace = Pace(lambda: 0.01)
    await pace.turn(within_seconds=10)
    async with asyncio.timeout(5):
        await pace.turn(within_seconds=0.05)


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_closed_pace_lets_everybody_through(is_early: bool) -> None:  # noqa: FBT001
    pace = Pace(lambda: 0.01)
    await pace.turn(within_seconds=10)
    if is_early:
        pace.close()
    turn = asyncio.create_task(pace.turn(within_seconds=60))
    await asyncio.sleep(0)
    pace.close()
    async with asyncio.timeout(5):
        await turn


def test_traffic_is_what_came_of_late() -> None:
    now = 100.0
    traffic = Traffic(clock=lambda: now)
    assert traffic.per_second == 0
    traffic.add(500)
    assert traffic.per_second == 2000
    now += 0.25
    assert traffic.per_second == 2000
    now += 0.25
    assert traffic.per_second == 0
