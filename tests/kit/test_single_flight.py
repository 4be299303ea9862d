import asyncio

import pytest

from app.kit.single_flight import SingleFlight


class Source:
    """What is called: counts its calls, and gives their number."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.failures: list[Exception] = []

    async def __call__(self, _: str) -> int:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return number


def _flight(source: Source, *, keep_seconds: float = 0.1) -> SingleFlight[str, int]:
    return SingleFlight(source, keep_seconds=keep_seconds, is_kept=lambda number: number != 2)


async def test_fresh_callers_share_the_call_after_the_running_one() -> None:
    source = Source()
    flight = _flight(source)
    asked = [asyncio.create_task(flight.fresh("a")) for _ in range(1)]
    for _ in range(3):
        await asyncio.sleep(0)
        asked += [asyncio.create_task(flight.fresh("a")) for _ in range(5)]
    await asyncio.sleep(0)
    assert source.calls == 1
    source.gate.set()
    assert await asyncio.gather(*asked) == [1] + 15 * [2]
    assert await flight.fresh("a") == 3


async def test_keys_are_called_independently() -> None:
    source = Source()
    flight = _flight(source)
    asked = [asyncio.create_task(flight.fresh(key)) for key in "abc"]
    await asyncio.sleep(0.01)
    assert source.calls == 3
    source.gate.set()
    assert await asyncio.gather(*asked) == [1, 2, 3]


async def test_recent_callers_share_the_running_call_and_its_kept_result() -> None:
    source = Source()
    flight = _flight(source)
    asked = [asyncio.create_task(flight.recent("a")) for _ in range(5)]
    await asyncio.sleep(0.01)
    source.gate.set()
    assert await asyncio.gather(*asked) == [1] * 5
    assert await flight.recent("a") == 1
    await asyncio.sleep(0.2)
    assert await flight.recent("a") == 2
    assert await flight.recent("a") == 3  # 2 is not kept


async def test_a_fresh_caller_gets_no_kept_result_and_replaces_it() -> None:
    source = Source()
    source.gate.set()
    flight = SingleFlight(source, keep_seconds=0.2, is_kept=lambda _: True)
    assert await flight.recent("a") == 1
    await asyncio.sleep(0.1)
    assert await flight.fresh("a") == 2
    await asyncio.sleep(0.15)
    assert await flight.recent("a") == 2  # the first result's expiry does not remove the second


async def test_a_failure_reaches_its_callers_and_no_later_ones() -> None:
    source = Source()
    flight = _flight(source)
    source.failures = [RuntimeError("away")]
    asked = [asyncio.create_task(flight.recent("a")) for _ in range(3)]
    following = asyncio.create_task(flight.fresh("b"))
    await asyncio.sleep(0.01)
    source.gate.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RuntimeError] * 3
    assert await following == 2
    assert await flight.recent("a") == 3


async def test_a_failed_call_does_not_prevent_the_next_one() -> None:
    source = Source()
    flight = _flight(source)
    source.failures = [RuntimeError("away")]
    first = asyncio.create_task(flight.fresh("a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(flight.fresh("a"))
    await asyncio.sleep(0)
    source.gate.set()
    with pytest.raises(RuntimeError):
        await first
    assert await second == 2


async def test_a_caller_that_is_cancelled_costs_the_others_nothing() -> None:
    source = Source()
    flight = _flight(source)
    impatient, patient = (asyncio.create_task(flight.recent("a")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    source.gate.set()
    assert await patient == 1
    assert impatient.cancelled()


async def test_expired_results_are_released() -> None:
    source = Source()
    source.gate.set()
    flight = _flight(source, keep_seconds=0.01)
    for key in "abcdef":
        await asyncio.gather(flight.fresh(key), flight.fresh(key), flight.recent(key))
    await asyncio.sleep(0.1)
    assert not flight._latest
    assert not flight._next


async def test_a_result_that_cannot_be_judged_is_not_kept() -> None:
    source = Source()
    source.gate.set()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    def _judge(_: int) -> bool:
        raise MemoryError

    flight = SingleFlight[str, int](source, keep_seconds=60, is_kept=_judge)
    assert [await flight.recent("a") for _ in range(2)] == [1, 2]
