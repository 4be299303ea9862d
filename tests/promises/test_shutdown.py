"""On shutdown the service answers what it has, and loses nothing that it acknowledged."""

import asyncio
import os
import signal

import httpx
import pytest

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.domain.api_key import Scope, digest, make_key
from tests.promises.conftest import Look, StartService
from tests.promises.load import PATIENCE_SECONDS, endless
from tests.promises.stage import Postgres, posting

#: What orchestrators commonly wait before they kill is more than twice this.
END_SECONDS = 12.0


async def _assert_it_ends_well(start_service: StartService, look: Look, *, workers: int) -> float:
    service = await start_service(workers=workers)
    sender = service.sender()
    async with posting(sender, endless("m")):
        code, seconds = await service.end()
    assert code == 0, service.log.read_text()
    assert sender.statuses <= {200, 503, 0}
    assert sender.acknowledged <= await look.stored()
    answered = [answer for answer in sender.answers if answer.status]
    assert max(answer.seconds for answer in answered) < PATIENCE_SECONDS
    assert "Traceback" not in service.log.read_text()
    return seconds


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_sigterm_under_load_ends_it_and_loses_nothing(
    start_service: StartService, look: Look, workers: int
) -> None:
    assert await _assert_it_ends_well(start_service, look, workers=workers) < END_SECONDS


async def test_sigterm_while_postgres_hangs_ends_it_all_the_same(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    service = await start_service()
    sender = service.sender()
    async with posting(sender, endless("m")):
        postgres.freeze()
        await asyncio.sleep(0.2)
        code, seconds = await service.end()
    postgres.thaw()
    assert code == 0, service.log.read_text()
    assert seconds < END_SECONDS
    in_flight = [answer for answer in sender.answers if answer.status == 503]
    assert in_flight, "nothing was in flight"
    assert all(answer.seconds < PATIENCE_SECONDS for answer in in_flight)
    assert sender.acknowledged <= await look.stored()


async def test_a_frozen_postgres_with_many_connections_does_not_keep_the_service_from_ending(
    start_service: StartService, postgres: Postgres
) -> None:
    """Whatever is open or asked for: the end comes well before an orchestrator kills."""
    service = await start_service()
    key = make_key()
    database = Database(postgres.url, name="tests", pool_items=1)
    scopes = frozenset({Scope.READ})
    await add_api_key(database, name="t", sha256=digest(key), scopes=scopes, expires_at=None)
    await database.close()
    headers = {"Authorization": f"Bearer {key}"}
    paths = ["/v1/messages?label=x", "/v1/events", "/v1/messages/m", "/v1/campaigns"] * 10
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
        assert {answer.status_code for answer in await _all(client, paths)} == {200, 404}
        postgres.freeze()
        asking = asyncio.create_task(_all(client, paths))
        await asyncio.sleep(0.2)
        code, _ = await service.end()  # it waits for less than a minute
        await asyncio.gather(asking, return_exceptions=True)
    postgres.thaw()
    assert code == 0, service.log.read_text()
    assert "Traceback" not in service.log.read_text()


async def _all(client: httpx.AsyncClient, paths: list[str]) -> list[httpx.Response]:
    return await asyncio.gather(*(client.get(path) for path in paths))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_a_hangup_of_the_terminal_ends_it_as_sigterm_does(
    start_service: StartService, look: Look, workers: int
) -> None:
    service = await start_service(workers=workers)
    sender = service.sender()
    async with posting(sender, endless("m")):
        os.killpg(service.process.pid, signal.SIGHUP)  # to each process, as a terminal does
        code = await asyncio.to_thread(service.process.wait, 60)
    assert code == 0, service.log.read_text()
    assert sender.statuses <= {200, 503, 0}
    assert sender.acknowledged <= await look.stored()
    answered = [answer for answer in sender.answers if answer.status]
    assert max(answer.seconds for answer in answered) < PATIENCE_SECONDS
    assert "Traceback" not in service.log.read_text()
