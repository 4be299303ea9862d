"""Behind each sample of deploy/proxies: what the public reaches, and what it does not."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from app.sandbox.processes import HOST
from tests.promises.conftest import Look, StartService
from tests.promises.load import Callback, callback
from tests.promises.samples import NAMES, Ports, sample
from tests.promises.stage import SECRET, Service, eventually

PATH = f"/callbacks/{SECRET}/status"
#: Between two callbacks of one client.
PAUSE_SECONDS = 0.02

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Stage(NamedTuple):
    """Two services behind a sample."""

    services: list[Service]
    ports: Ports
    trusted: ssl.SSLContext

    @property
    def outside(self) -> str:
        return f"https://localhost:{self.ports.public}"

    @property
    def inside(self) -> str:
        return f"http://{HOST}:{self.ports.internal}"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=self.outside, verify=self.trusted, timeout=30, trust_env=False
        ) as client:
            yield client


@pytest.fixture(params=NAMES)
async def stage(
    request: pytest.FixtureRequest, start_service: StartService, folder: Path
) -> AsyncIterator[Stage]:
    services = [await start_service(drain_seconds=3) for _ in range(2)]
    with sample(request.param, services[0].port, services[1].port, folder) as ports:
        trusted = ssl.create_default_context(cafile=folder / "receiver.crt")
        stage = Stage(services, ports, trusted)

        async def _answers() -> bool:
            try:
                async with stage.client() as client:
                    return (await client.get(PATH)).is_success
            except httpx.TransportError:
                return False

        await eventually(_answers)
        yield stage


async def test_callbacks_pass_and_nothing_else_does(stage: Stage, look: Look) -> None:
    async with stage.client() as client:
        sent = [callback(f"m{number}") for number in range(20)]
        assert {(await client.post(PATH, content=one.body)).status_code for one in sent} == {200}
        assert await look.stored() == set(sent)
        for path in (
            *("/", "/v1/campaigns", "/v1/events", "/metrics", "/livez", "/readyz", "/docs"),
            *("/openapi.json", f"/callbacks/{SECRET}/status/../../../metrics"),
            *(f"/callbacks/{SECRET}/status%2f..%2f..%2f..%2fmetrics", "//metrics", "/%6detrics"),
        ):
            assert (await client.get(path)).status_code in {400, 404}, path
        unknown = await client.post(PATH.replace(SECRET, "x" * 40), content=sent[0].body)
        assert unknown.status_code == 404
        inside = await client.get(f"{stage.inside}/metrics")
        assert inside.status_code == 200
        assert (await client.get(f"{stage.inside}/v1/campaigns")).status_code == 401


async def test_a_body_beyond_the_limit_is_refused(stage: Stage) -> None:
    async with stage.client() as client:
        large = json.dumps({"trackingId": "m", "x": "y" * 1_100_000}).encode()
        assert (await client.post(PATH, content=large)).status_code == 413
        assert (await client.post(PATH, content=callback("m").body)).status_code == 200


async def test_slow_bodies_end_and_hang_ups_do_no_harm(stage: Stage, look: Look) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost:{stage.ports.public}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    slow = await asyncio.open_connection("localhost", stage.ports.public, ssl=stage.trusted)
    slow[1].write(head + b"{")
    for cut in (0, 10, len(head), len(head) + 1):
        _, writer = await asyncio.open_connection(
            "localhost", stage.ports.public, ssl=stage.trusted
        )
        writer.write((head + b"{")[:cut])
        await writer.drain()
        writer.transport.abort()
    # A few bytes at a time do not keep it open: the whole has to come in time.
    answer = await asyncio.wait_for(slow[0].read(), 60)
    assert not answer or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 502", b"HTTP/1.1 400")), (
        answer
    )
    slow[1].close()
    async with stage.client() as client:
        assert (await client.post(PATH, content=callback("m").body)).status_code == 200
    assert await look.stored() == {callback("m")}


async def test_a_rolling_restart_refuses_no_callback(stage: Stage, look: Look) -> None:
    statuses: list[int] = []
    acknowledged: set[Callback] = set()
    numbers, enough = count(), asyncio.Event()

    async def _post() -> None:
        async with stage.client() as client:
            while not enough.is_set():
                one = callback(f"m{next(numbers)}")
                status = (await client.post(PATH, content=one.body)).status_code
                statuses.append(status)
                if status == 200:
                    acknowledged.add(one)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _more() -> None:
        already = len(statuses)

        async def _came() -> bool:
            return len(statuses) >= already + 150

        await eventually(_came)

    async with asyncio.TaskGroup() as group:
        posting = [group.create_task(_post()) for _ in range(2)]
        for service in stage.services:
            await _more()
            code, _ = await service.end()
            assert code == 0, service.log.read_text()
            await service.start()
        await _more()
        enough.set()
        await asyncio.gather(*posting)
    assert set(statuses) == {200}
    assert acknowledged == await look.stored()
    # The proxies keep their connections to the service.
    assert all("Traceback" not in service.log.read_text() for service in stage.services)


@pytest.mark.parametrize("name", NAMES)
async def test_the_address_of_the_caller_is_told_and_cannot_be_made_up(
    name: str, start_service: StartService, folder: Path
) -> None:
    caller = "127.0.0.2"
    service = await start_service(
        settings={"RECEIVER_CALLBACK_SOURCES": caller, "RECEIVER_TRUSTED_PROXIES": HOST}
    )
    with sample(name, service.port, service.port, folder) as ports:
        trusted = ssl.create_default_context(cafile=folder / "receiver.crt")

        async def _post(address: str, headers: dict[str, str] | None = None) -> int:
            transport = httpx.AsyncHTTPTransport(verify=trusted, local_address=address)
            async with httpx.AsyncClient(transport=transport, timeout=30) as client:
                url = f"https://localhost:{ports.public}{PATH}"
                answer = await client.post(url, content=callback("m").body, headers=headers)
                return answer.status_code

        async def _passes() -> bool:
            try:
                return await _post(caller) == 200
            except httpx.TransportError:
                return False

        await eventually(_passes)
        assert await _post(HOST) == 403
        for header, value in (("X-Forwarded-For", caller), ("Forwarded", f"for={caller}")):
            assert await _post(HOST, {header: value}) == 403
        assert await _post(caller, {"X-Forwarded-For": "198.51.100.9"}) == 200
