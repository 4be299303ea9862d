"""Which port serves what."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from app.api.middleware import Ports
from tests.api.conftest import Loop, Service, progress, running

OPERATIONS = ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"]
CALLS = ["/v1/messages/x", "/v1/nothing", "/", "/livez/x"]
PORT, OPERATIONS_PORT, API_PORT = 8000, 9000, 9001


async def _status(ports: Ports, path: str, server: tuple[str, int | None] | None) -> int:
    sent: list[Message] = []

    async def _send(message: Message) -> None:
        sent.append(message)

    async def _receive() -> Message:
        raise AssertionError

    scope: Scope = {"type": "http", "method": "GET", "path": path, "headers": [], "server": server}
    await ports(scope, _receive, _send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("path", [*OPERATIONS, *CALLS])
@pytest.mark.parametrize("has_operations", [True, False])
@pytest.mark.parametrize("server", [("127.0.0.1", PORT), ("::1", PORT), ("/socket", None), None])
async def test_without_a_port_of_their_own_operations_are_at_each_port_or_at_none(
    path: str,
    has_operations: bool,  # noqa: FBT001
    server: tuple[str, int | None] | None,
) -> None:
    ports = Ports(PlainTextResponse("x"), operations_port=None, has_operations=has_operations)
    expected = 404 if path in OPERATIONS and not has_operations else 200
    assert await _status(ports, path, server) == expected


@pytest.mark.parametrize("path", [*OPERATIONS, *CALLS])
@pytest.mark.parametrize("has_operations", [True, False])
async def test_at_a_port_of_their_own_operations_are_alone(
    path: str,
    has_operations: bool,  # noqa: FBT001
) -> None:
    ports = Ports(
        PlainTextResponse("x"), operations_port=OPERATIONS_PORT, has_operations=has_operations
    )
    is_operation = path in OPERATIONS
    assert await _status(ports, path, ("10.0.0.1", OPERATIONS_PORT)) == (
        200 if is_operation else 404
    )
    for server in (("10.0.0.1", PORT), ("/socket", None), None):
        assert await _status(ports, path, server) == (404 if is_operation else 200)


@pytest.mark.parametrize("path", [*OPERATIONS, *CALLS])
@pytest.mark.parametrize("operations_port", [OPERATIONS_PORT, None])
async def test_at_a_port_of_its_own_the_api_is_alone_but_for_operations_that_have_none(
    path: str, operations_port: int | None
) -> None:
    ports = Ports(
        PlainTextResponse("x"),
        operations_port=operations_port,
        api_port=API_PORT,
        has_operations=True,
    )
    home = operations_port if path in OPERATIONS and operations_port else API_PORT
    for server in [("10.0.0.1", port) for port in (PORT, OPERATIONS_PORT, API_PORT)]:
        assert await _status(ports, path, server) == (200 if server[1] == home else 404)
    for nowhere in (("/socket", None), None):
        assert await _status(ports, path, nowhere) == 404


@pytest.mark.parametrize("path", OPERATIONS)
def test_a_process_for_callbacks_alone_shows_no_operations(
    loop: Loop, service: Service, path: str
) -> None:
    with running(loop, service.database_url, surface="callbacks") as callbacks:
        answer = callbacks.client.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:routee-receiver:problem:not-found"
        assert callbacks.client.get(path, headers={"Host": "x:9000"}).status_code == 404
        callbacks.stored(progress())


@pytest.mark.parametrize("surface", ["all", "api"])
def test_all_other_processes_show_them(loop: Loop, service: Service, surface: str) -> None:
    with running(loop, service.database_url, surface=surface) as other:
        assert [other.client.get(path).status_code for path in OPERATIONS] == [200] * 5
