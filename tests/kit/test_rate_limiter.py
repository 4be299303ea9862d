import asyncio
from itertools import pairwise

import pytest

from app.kit.rate_limiter import RateLimiter


@pytest.mark.parametrize("rate", [100, 0])
async def test_callers_are_released_in_the_order_in_which_they_came(rate: int) -> None:
    limiter, order = RateLimiter(lambda: rate), list[int]()

    async def _wait(number: int) -> None:
        await limiter.wait(within_seconds=10)
        order.append(number)

    await asyncio.gather(*(_wait(number) for number in range(10)))
    assert order == list(range(10))


async def test_a_crowd_is_spread_over_time() -> None:
    loop, limiter = asyncio.get_running_loop(), RateLimiter(lambda: 100)
    started = loop.time()
    delayed = await asyncio.gather(*(limiter.wait(within_seconds=10) for _ in range(21)))
    assert loop.time() - started >= 0.19
    assert delayed == [False] + 20 * [True]


async def test_without_a_limit_a_crowd_is_spread_over_ticks() -> None:
    limiter, order = RateLimiter(lambda: 0), list[object]()

    async def _wait(number: int) -> None:
        assert not await limiter.wait(within_seconds=10)
        order.append(number)

    async def _work() -> None:
        while order.count("other work") < 30:
            order.append("other work")
            await asyncio.sleep(0)

    await asyncio.gather(_work(), *(_wait(number) for number in range(5)))
    released = [at for at, entry in enumerate(order) if entry != "other work"]
    assert len(released) == 5
    assert all(after - before > 1 for before, after in pairwise(released))


async def test_a_limit_that_ends_releases_the_crowd() -> None:
    rate = 2.0
    limiter = RateLimiter(lambda: rate)
    waiting = [asyncio.create_task(limiter.wait(within_seconds=60)) for _ in range(100)]
    await asyncio.sleep(0.05)
    rate = 0
    async with asyncio.timeout(30):
        await asyncio.gather(*waiting)


async def test_no_caller_waits_longer_than_asked() -> None:
    limiter = RateLimiter(lambda: 0.01)
    await limiter.wait(within_seconds=10)
    async with asyncio.timeout(30):
        assert await limiter.wait(within_seconds=0.05)


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_closed_limiter_releases_all_callers(is_early: bool) -> None:  # noqa: FBT001
    limiter = RateLimiter(lambda: 0.01)
    await limiter.wait(within_seconds=10)
    if is_early:
        limiter.close()
    waiting = asyncio.create_task(limiter.wait(within_seconds=60))
    await asyncio.sleep(0)
    limiter.close()
    async with asyncio.timeout(30):
        await waiting


async def test_a_rate_that_cannot_be_told_once_keeps_nobody_waiting() -> None:
    asked = 0

    def _rate() -> float:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise MemoryError
        return 0

    limiter = RateLimiter(_rate)
    async with asyncio.timeout(30):
        await asyncio.gather(*(limiter.wait(within_seconds=60) for _ in range(3)))
    assert asked == 3
