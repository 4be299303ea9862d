"""A 200 is a committed row, whichever process is killed."""

import asyncio
import os
import signal
from itertools import islice

import pytest

from tests.promises.conftest import Look, StartService
from tests.promises.load import (
    Sender,
    assert_each_is_stored_or_to_be_repeated_in_time,
    endless,
)
from tests.promises.stage import Postgres, Service, eventually, posting

ROUNDS = 2
MANY_ROUNDS = 15


async def _kill_and_restart(service: Service, sender: Sender, prefix: str, seconds: float) -> None:
    async with posting(sender, endless(prefix)):
        await asyncio.sleep(seconds)
        service.kill()
    await service.start()


async def _assert_nothing_was_lost(sender: Sender, look: Look) -> None:
    assert sender.acknowledged <= await look.stored()
    assert await look.counts() == await look.recount() == await look.recount_of_events()


async def _assert_killing_loses_nothing(service: Service, look: Look, rounds: int) -> None:
    sender = service.sender()
    for at in range(rounds):
        await _kill_and_restart(service, sender, f"m{at}", 0.07 * (at % 5))
    assert sender.statuses <= {200, 0}
    await _assert_nothing_was_lost(sender, look)


async def test_a_200_is_a_committed_row_though_the_service_is_killed(
    service: Service, look: Look
) -> None:
    await _assert_killing_loses_nothing(service, look, ROUNDS)


@pytest.mark.slow
async def test_a_200_is_a_committed_row_though_all_workers_are_killed(
    start_service: StartService, look: Look
) -> None:
    await _assert_killing_loses_nothing(await start_service(workers=2), look, 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_200_is_a_committed_row_however_often_they_are_killed(
    start_service: StartService, look: Look
) -> None:
    await _assert_killing_loses_nothing(await start_service(workers=2), look, MANY_ROUNDS)


@pytest.mark.slow
async def test_one_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(
    start_service: StartService, look: Look
) -> None:
    service = await start_service(workers=2)
    before = service.workers()
    assert len(before) == 2
    sender = service.sender()

    async def _replaced() -> bool:
        now = service.workers()
        return len(now) == 2 and before[0] not in now

    async with posting(sender, endless("m")):
        os.kill(before[0], signal.SIGKILL)
        await eventually(_replaced)
    assert sender.statuses <= {200, 0}
    await _assert_nothing_was_lost(sender, look)


async def _assert_killing_everything_loses_nothing(
    service: Service, postgres: Postgres, look: Look, rounds: int
) -> None:
    sender = service.sender()
    for at in range(rounds):
        async with posting(sender, endless(f"m{at}")):
            postgres.kill()
            service.kill()
        await postgres.start()
        await service.start()
    await _assert_nothing_was_lost(sender, look)


@pytest.mark.slow
async def test_a_200_is_a_committed_row_though_postgres_and_the_service_are_killed(
    service: Service, postgres: Postgres, look: Look
) -> None:
    await _assert_killing_everything_loses_nothing(service, postgres, look, 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_200_is_a_committed_row_however_often_postgres_is_killed(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service(workers=2)
    await _assert_killing_everything_loses_nothing(service, postgres, look, 8)


async def test_callbacks_that_a_killed_service_did_not_answer_are_deduplicated_when_repeated(
    service: Service, look: Look
) -> None:
    callbacks = list(islice(endless("m"), 1000))
    first = service.sender()
    async with posting(first, callbacks):
        service.kill()
    assert len(first.acknowledged) < len(callbacks)
    await service.start()
    again = service.sender()
    await again.send_all(callbacks)
    assert_each_is_stored_or_to_be_repeated_in_time(again.answers)
    assert again.statuses == {200}
    assert await look.stored() == set(callbacks)
    assert await look.number("SELECT count(*) FROM events") == len(callbacks)
    assert await look.counts() == {("campaign", "DELIVERED"): len(callbacks)}
