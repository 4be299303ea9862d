"""A sick database: every callback is answered in time, nothing is lost, and all heals by itself."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from statistics import median

import httpx
import pytest

from app.services.readiness import KEPT_SECONDS
from tests.database import connect
from tests.promises.conftest import Look, StartService
from tests.promises.load import (
    Sender,
    assert_each_is_stored_or_to_be_repeated_in_time,
    callback,
    endless,
)
from tests.promises.stage import Postgres, Service, answers, posting

#: Longer than the budget, so that flushes are really abandoned.
SICK_SECONDS = 2.2
#: From the end of an outage to the last 503: one abandoned flush and one new connection.
RECOVERY_SECONDS = 5.0
_MINUTE_ITEMS = 600
#: Failures that are logged once in a minute are seen at their first, dearest time.
OBSERVED_SECONDS = 12.0
HOUR_BYTES = 5_000_000


async def _is_well_again(sender: Sender) -> None:
    await answers(sender, 200, within_seconds=RECOVERY_SECONDS)


async def _assert_nothing_was_lost(sender: Sender, look: Look) -> None:
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert sender.statuses == {200, 503}, "there was no outage, or no recovery"
    assert sender.acknowledged <= await look.stored()
    assert await look.number("SELECT count(*) FROM quarantine") == 0
    assert await look.counts() == await look.recount() == await look.recount_of_events()


async def _stopped(postgres: Postgres) -> None:
    await postgres.stop()
    await asyncio.sleep(SICK_SECONDS)
    await postgres.start()


async def _killed(postgres: Postgres) -> None:
    postgres.kill()
    await asyncio.sleep(SICK_SECONDS)
    await postgres.start()


async def _frozen(postgres: Postgres) -> None:
    postgres.freeze()
    await asyncio.sleep(SICK_SECONDS)
    postgres.thaw()


@pytest.mark.parametrize("outage", [_stopped, _killed, _frozen])
async def test_without_postgres_all_is_503_in_time_and_recovers_by_itself(
    outage: Callable[[Postgres], Awaitable[None]],
    service: Service,
    postgres: Postgres,
    look: Look,
) -> None:
    sender = service.sender()
    async with posting(sender, endless("m")):
        await outage(postgres)
        await _is_well_again(sender)
    await service.is_well()
    await _assert_nothing_was_lost(sender, look)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_minute_without_postgres_is_over_with_the_repetitions(
    service: Service, postgres: Postgres, look: Look
) -> None:
    """All is refused meanwhile, in time, and stored when the provider repeats it."""
    callbacks = [callback(f"m{number}") for number in range(_MINUTE_ITEMS)]
    sender, repeating = service.sender(connections=1), service.sender()
    postgres.kill()
    for item in callbacks:
        await sender.send_all([item])
        await asyncio.sleep(60 / _MINUTE_ITEMS)
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert sender.statuses == {503}
    await postgres.start()
    await service.is_well()
    await repeating.send_all(callbacks)
    assert repeating.statuses == {200}
    assert await look.stored() == set(callbacks)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_outage_after_outage_loses_nothing(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service(workers=2)
    sender = service.sender()
    async with posting(sender, endless("m")):
        for outage in (_stopped, _killed, _frozen, _killed, _frozen, _stopped):
            await outage(postgres)
            await _is_well_again(sender)
            await asyncio.sleep(0.5)
    await _assert_nothing_was_lost(sender, look)


async def test_readiness_is_503_while_postgres_is_away(
    service: Service, postgres: Postgres
) -> None:
    await postgres.stop()
    await asyncio.sleep(KEPT_SECONDS)
    async with httpx.AsyncClient() as client:
        answers = [await client.get(f"{service.url}/readyz") for _ in range(5)]
        assert (await client.get(f"{service.url}/livez")).status_code == 200
    assert {answer.status_code for answer in answers} == {503}
    await postgres.start()
    await service.is_well()


async def test_a_locked_table_is_503_in_time_and_recovers_after_its_release(
    service: Service, postgres: Postgres, look: Look
) -> None:
    holder = await connect(postgres.url)
    sender = service.sender()
    async with posting(sender, endless("m")):
        async with holder.transaction():
            await holder.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(SICK_SECONDS)
        await _is_well_again(sender)
    await holder.close()
    await _assert_nothing_was_lost(sender, look)


async def test_a_read_only_database_is_503_and_recovers_by_itself(
    service: Service, look: Look
) -> None:
    sender = service.sender()
    async with posting(sender, endless("m")):
        await look.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await look.execute("SELECT pg_reload_conf()")
        await answers(sender, 503)
        await look.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        await look.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await look.execute("SELECT pg_reload_conf()")
        await _is_well_again(sender)
    await _assert_nothing_was_lost(sender, look)


async def test_a_terminated_session_costs_at_most_one_batch(service: Service, look: Look) -> None:
    sender = service.sender(connections=16)
    terminations = 5
    async with posting(sender, endless("m")):
        for _ in range(terminations):
            await look.number(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'routee-receiver ingest'"
            )
            await answers(sender, 200, items=sender.connections)
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    refused = [answer for answer in sender.answers if answer.status == 503]
    assert len(refused) <= terminations * sender.connections
    # A session that is gone is noticed, and not waited for as long as one flush may take.
    assert median(answer.seconds for answer in refused) < 0.5
    assert sender.acknowledged <= await look.stored()


@pytest.mark.slow
async def test_an_outage_of_an_hour_leaves_a_log_that_one_can_read(
    service: Service, postgres: Postgres
) -> None:
    sender = service.sender(connections=64)
    async with posting(sender, endless("m")):
        postgres.kill()
        await answers(sender, 503)
        began, before = time.monotonic(), service.log.stat().st_size
        refused = len(sender.answers)
        await asyncio.sleep(OBSERVED_SECONDS)
        scale = 3600 / (time.monotonic() - began)
        written = service.log.stat().st_size - before
        refused = len(sender.answers) - refused
        await postgres.start()
        await _is_well_again(sender)
    # Lines follow the seconds, not the callbacks, of which an hour at 200 a second has 720,000.
    assert refused > 0
    assert written * scale < HOUR_BYTES
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert any("the database answers again after" in line["event"] for line in lines)
