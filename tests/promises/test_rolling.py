"""A process that is asked to end leaves in order, so that a rolling restart refuses nothing."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from app.sandbox.processes import HOST
from tests.promises.conftest import Look, StartService
from tests.promises.load import Sender, callback, endless
from tests.promises.proxies import balancer, uses_both
from tests.promises.stage import SECRET, eventually, posting

_DRAIN_SECONDS = 2.0
#: With a drain of two seconds.
_END_SECONDS = 10.0


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


async def test_a_process_that_ends_is_not_ready_and_stores_what_still_comes(
    start_service: StartService, look: Look
) -> None:
    service = await start_service(drain_seconds=20)
    async with httpx.AsyncClient(base_url=service.url, timeout=20) as client:
        path = f"/callbacks/{SECRET}/status"
        before = await client.post(path, content=callback("m1").body)
        assert "connection" not in before.headers
        service.process.send_signal(signal.SIGTERM)

        async def _has_noticed() -> bool:
            return not await _is_ready(client)

        await eventually(_has_noticed)
        during = await client.post(path, content=callback("m2").body)
        assert (during.status_code, during.headers["connection"]) == (200, "close")
        assert "was asked to end" in (await client.get("/readyz")).json()["detail"]
        code, _ = await service.end()  # the second one ends the drain
    assert code == 0, service.log.read_text()
    assert "Traceback" not in service.log.read_text()
    assert await look.stored() == {callback("m1"), callback("m2")}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rolling_restart_behind_a_load_balancer_refuses_cuts_and_doubles_nothing(
    start_service: StartService, look: Look, folder: Path, workers: int
) -> None:
    services = [
        await start_service(workers=workers, drain_seconds=_DRAIN_SECONDS) for _ in range(2)
    ]
    with balancer(services[0].port, services[1].port, folder) as port:
        await uses_both(port)
        sender = Sender(port, f"/callbacks/{SECRET}/status", connections=4)
        async with posting(sender, endless("m")):
            for service in services:
                code, seconds = await service.end()
                assert code == 0, service.log.read_text()
                assert seconds < _END_SECONDS
                await service.start()
                await uses_both(port)
    refused = [answer for answer in sender.answers if answer.status != 200]
    assert not refused, refused[:3]
    assert sender.acknowledged <= await look.stored()
    assert sum((await look.counts()).values()) == len({c.identity[0] for c in sender.acknowledged})
    assert all("Traceback" not in service.log.read_text() for service in services)


async def test_callbacks_are_stored_while_the_schema_is_one_version_newer(
    start_service: StartService, look: Look
) -> None:
    service = await start_service(settings={"RECEIVER_SIGNING_KEYS": SECRET})
    database = await look.connection()
    await database.execute("UPDATE alembic_version SET version_num = '9998'")
    await database.execute("INSERT INTO schema_programs VALUES ('9998')")
    second = await start_service(settings={"RECEIVER_SIGNING_KEYS": SECRET})
    for port, name in ((service.port, "m1"), (second.port, "m2")):
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=20) as client:
            answer = await client.post(f"/callbacks/{SECRET}/status", content=callback(name).body)
            assert answer.status_code == 200
            assert await _is_ready(client)
    assert await look.stored() == {callback("m1"), callback("m2")}
    assert "The schema, 9998, is newer than this program" in second.log.read_text()


@pytest.mark.slow
async def test_a_schema_two_versions_newer_is_not_served(
    start_service: StartService, look: Look
) -> None:
    service = await start_service()
    database = await look.connection()
    await database.execute("UPDATE alembic_version SET version_num = '9999'")
    await database.execute("UPDATE schema_programs SET version = '9999'")

    async def _refuses() -> bool:
        async with httpx.AsyncClient(base_url=service.url, timeout=20) as client:
            answer = await client.get("/readyz")
        return answer.status_code == 503 and "newer than this program" in answer.json()["detail"]

    await eventually(_refuses)
    with pytest.raises(ProcessLookupError) as ended:
        await start_service()
    log = await asyncio.to_thread(Path(str(ended.value).rpartition(" ")[2]).read_text)
    assert "The schema, 9999, is newer than this program" in log
    assert "routee-receiver migrate" not in log
