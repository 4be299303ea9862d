"""The API and operations at ports of their own, for several workers, until the end."""

import asyncio
import os

import httpx
import pytest

from app.sandbox.processes import RECEIVER, free_port
from tests.promises.conftest import StartService
from tests.promises.load import stories
from tests.promises.stage import SECRET

OPERATIONS = ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"]
READ = "/v1/messages/x"
STATUS = f"/callbacks/{SECRET}/status"


@pytest.mark.parametrize(
    ("surface", "workers"),
    [pytest.param("callbacks", 2, marks=pytest.mark.slow), ("callbacks", 1), ("all", 1)],
)
async def test_operations_have_a_port_of_their_own(
    start_service: StartService, surface: str, workers: int
) -> None:
    service = await start_service(workers=workers, surface=surface, has_operations_port=True)
    async with httpx.AsyncClient(timeout=10) as client:
        for path in OPERATIONS:
            assert (await client.get(f"{service.operations_url}{path}")).status_code == 200
            assert (await client.get(f"{service.url}{path}")).status_code == 404
        expected = 404 if surface == "callbacks" else 401
        assert (await client.get(f"{service.url}{READ}")).status_code == expected
        assert (await client.get(f"{service.operations_url}{READ}")).status_code == 404
        if surface != "api":
            sender = service.sender(connections=4)
            await sender.send_all(stories("m", 10))
            assert sender.statuses == {200}
        refused = await client.post(f"{service.operations_url}{STATUS}", content=b"{}")
        assert refused.status_code == 404
        await service.end()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{service.operations_url}/livez")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("has_operations_port", "is_fast"),
    [(True, True), pytest.param(False, False, marks=pytest.mark.slow)],
)
async def test_a_proxy_that_exposes_the_port_of_callbacks_exposes_nothing_else(
    start_service: StartService,
    workers: int,
    has_operations_port: bool,  # noqa: FBT001
    is_fast: bool,  # noqa: FBT001
) -> None:
    service = await start_service(
        workers=workers,
        has_api_port=True,
        has_operations_port=has_operations_port,
        settings={"RECEIVER_FAST_PROTOCOL": str(is_fast).lower()},
    )
    every = {service.url, service.api_url, service.operations_url}
    assert len(every) == (3 if has_operations_port else 2)
    sender = service.sender(connections=4)
    await sender.send_all(stories("m", 10))
    assert sender.statuses == {200}
    async with httpx.AsyncClient(timeout=10) as client:

        async def _expect(path: str, at: str, status: int, method: str = "GET") -> None:
            for url in every:
                answer = await client.request(method, f"{url}{path}", content=b"{}")
                assert answer.status_code == (status if url == at else 404), (url, path)

        for _ in range(3):  # whichever worker answers
            await _expect(READ, service.api_url, 401)
            await _expect(STATUS, service.url, 200, "POST")
            await _expect(STATUS, service.url, 200)
            for path in OPERATIONS:
                await _expect(path, service.operations_url, 200)
    await service.end()


@pytest.mark.parametrize(
    ("variables", "options", "said"),
    [
        ({"RECEIVER_API_PORT": "{port}"}, [], "RECEIVER_API_PORT must not be the port of"),
        (
            {"RECEIVER_API_PORT": "9001", "RECEIVER_OPERATIONS_PORT": "9001"},
            [],
            "RECEIVER_API_PORT must not be RECEIVER_OPERATIONS_PORT",
        ),
        ({"RECEIVER_API_PORT": "9001"}, ["--surface=callbacks"], "is for `--surface all`"),
        ({"RECEIVER_API_PORT": "9001"}, ["--surface=api"], "is for `--surface all`"),
    ],
)
async def test_ports_that_are_named_twice_or_for_nothing_are_refused(
    variables: dict[str, str], options: list[str], said: str
) -> None:
    port = free_port()
    given = {name: value.format(port=port) for name, value in variables.items()}
    own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
    process = await asyncio.create_subprocess_exec(
        *RECEIVER,
        "serve",
        f"--port={port}",
        *options,
        env=own | {"RECEIVER_CALLBACK_SECRETS": SECRET} | given,
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    assert process.returncode == 1
    assert said in error.decode()
    assert len(error.decode().splitlines()) == 1
