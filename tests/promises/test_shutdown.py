"""On shutdown the service answers what it has, and loses nothing that it acknowledged."""

import asyncio

import pytest

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


@pytest.mark.parametrize("workers", [1, 2])
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
