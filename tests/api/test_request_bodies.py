"""No route reads a body of a caller without a key, and no body is endless, slow or compressed."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from fastapi.routing import iter_route_contexts
from starlette.types import Message, Receive, Scope, Send

from app.api.application import make_api
from app.api.request_bodies import MAX_BODY_BYTES, MAX_BODY_SECONDS, RequestBodies
from app.domain.api_key import Scope as KeyScope
from tests.api.conftest import Service, new_id, received, running

_ANNOUNCED_BYTES = 200 * 1024 * 1024
#: The buffers of two sockets, and what is dropped after an answer.
_FEW_BYTES = 16 * 1024 * 1024
_CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
#: What the query of every route allows; a path needs something in its place.
_ID = "1"

ENDLESS = {
    "announced": f"Content-Length: {_ANNOUNCED_BYTES}\r\n",
    "chunked": "Transfer-Encoding: chunked\r\n",
    "expected": f"Content-Length: {_ANNOUNCED_BYTES}\r\nExpect: 100-continue\r\n",
}


def _calls() -> Iterator[tuple[str, str]]:
    """Every method and path that the application has, and some that it does not have."""
    for route in iter_route_contexts(make_api().routes):
        assert route.path, "a mounted application needs tests of its own"
        for method in route.methods or ():
            yield method, route.path
    yield "POST", "/v1/nothing"
    yield "POST", "/nothing"
    yield "PUT", "/v1/campaigns"
    yield "POST", "/livez"


CALLS = sorted(set(_calls()))
WITH_KEY = [call for call in CALLS if call[1].startswith("/v1/")]
every_call = pytest.mark.parametrize(("method", "path"), CALLS)
every_call_with_key = pytest.mark.parametrize(("method", "path"), WITH_KEY)


def _head(method: str, path: str, *headers: str) -> bytes:
    target = "/".join(_ID if part.startswith("{") else part for part in path.split("/"))
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{''.join(headers)}\r\n".encode()


def _key(service: Service) -> str:
    return f"Authorization: {service.bearer(KeyScope.ADMIN)['Authorization']}\r\n"


def _answer_to_endless(service: Service, head: bytes) -> tuple[bytes, int]:
    """The answer to a body that does not end by itself, and how much of it could be sent."""
    sent = 0
    with service.connection(timeout=10) as connection:
        connection.sendall(head)
        part = _CHUNK if b"chunked" in head else b"x" * len(_CHUNK)
        with suppress(ConnectionError):
            while sent < _ANNOUNCED_BYTES:
                connection.sendall(part)
                sent += len(part)
        answer = b""
        with suppress(ConnectionError):
            answer = received(connection)
    return answer, sent


def _status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(maxsplit=2)[1])


def _is_problem(answer: bytes, status: int, slug: str) -> None:
    assert _status(answer) == status, answer
    if b"\r\n\r\n{" in answer:  # an answer to HEAD has no body
        assert b"content-type: application/problem+json\r\n" in answer
        assert f'"urn:routee-receiver:problem:{slug}"'.encode() in answer
    assert b"\r\nconnection: close\r\n" in answer


def test_the_calls_are_those_of_the_whole_application() -> None:
    paths = {path for _, path in CALLS}
    assert {"/livez", "/docs", "/v1/messages/lookup", "/v1/campaigns/{tracking_id}/resolve"} < paths
    assert len(CALLS) > 25


@pytest.mark.parametrize("framing", ENDLESS.values(), ids=ENDLESS)
@every_call
def test_without_a_key_no_route_reads_a_body(
    service: Service, method: str, path: str, framing: str
) -> None:
    answer, sent = _answer_to_endless(service, _head(method, path, framing))
    assert sent < _FEW_BYTES
    if path.startswith("/v1/"):
        _is_problem(answer, 401, "unauthorized")
    assert b"\r\nconnection: close\r\n" in answer
    assert b"100 Continue" not in answer


@pytest.mark.parametrize("framing", ENDLESS.values(), ids=ENDLESS)
@every_call_with_key
def test_with_a_key_no_route_reads_more_than_the_limit(
    service: Service, method: str, path: str, framing: str
) -> None:
    answer, sent = _answer_to_endless(service, _head(method, path, _key(service), framing))
    assert sent < _FEW_BYTES
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    _is_problem(answer, 413, "too-large")


@pytest.mark.parametrize("surface", ["callbacks", "api"])
def test_each_surface_refuses_bodies_in_the_same_way(service: Service, surface: str) -> None:
    with running(service.loop, service.database_url, surface=surface) as other:
        for method, path in CALLS:
            answer, sent = _answer_to_endless(other, _head(method, path, ENDLESS["announced"]))
            assert sent < _FEW_BYTES
            if path.startswith("/v1/"):
                _is_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "GZIP", "br", "identity, gzip", "x"])
@every_call_with_key
def test_no_route_opens_a_compressed_body(
    service: Service, method: str, path: str, coding: str
) -> None:
    framing = f"Content-Length: 5\r\nContent-Encoding: {coding}\r\n"
    answer = service.raw(_head(method, path, framing) + b"\x1f\x8b123")
    _is_problem(answer, 401, "unauthorized")
    answer = service.raw(_head(method, path, _key(service), framing) + b"\x1f\x8b123")
    _is_problem(answer, 415, "encoding-not-supported")
    assert b"\r\naccept-encoding: identity\r\n" in answer


def test_with_a_key_no_body_may_be_slow(service: Service) -> None:
    """All at once: each takes as long as a body may take."""
    connections = []
    for method, path in WITH_KEY:
        connection = service.connection(timeout=10 * MAX_BODY_SECONDS)
        connection.sendall(_head(method, path, _key(service), "Content-Length: 1000\r\n"))
        connections.append(connection)
    ends = time.monotonic() + MAX_BODY_SECONDS + 1
    while time.monotonic() < ends:
        for connection in connections:
            with suppress(ConnectionError):
                connection.sendall(b"x")
        time.sleep(0.5)
    for connection in connections:
        _is_problem(_rest(connection), 408, "too-slow")


def test_without_a_key_a_slow_body_ends_the_connection(service: Service) -> None:
    connections = []
    for method, path in CALLS:
        connection = service.connection(timeout=10)
        connection.sendall(_head(method, path, "Content-Length: 1000\r\n") + b"x")
        connections.append(connection)
    for connection in connections:
        assert b"\r\nconnection: close\r\n" in _rest(connection)


def _rest(connection: socket.socket) -> bytes:
    with connection:
        answer = bytearray()
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
        return bytes(answer)


@pytest.mark.parametrize("scope", list(KeyScope))
def test_a_caller_without_the_scope_is_refused_before_its_body_is_judged(
    service: Service, scope: KeyScope
) -> None:
    for path, needed in (
        ("/v1/campaigns", KeyScope.CAMPAIGNS),
        ("/v1/messages/lookup", KeyScope.READ),
        ("/v1/campaigns/x/resolve", KeyScope.ADMIN),
    ):
        answer = service.client.post(path, content=b"{", headers=service.bearer(scope))
        expected = 422 if scope in {needed, KeyScope.ADMIN} else 403
        assert answer.status_code == expected, path


def test_a_body_of_exactly_the_limit_is_read(service: Service) -> None:
    unknown = new_id()
    body = json.dumps({"trackingIds": [unknown]}).encode().ljust(MAX_BODY_BYTES)
    headers = service.bearer(KeyScope.READ) | {"content-encoding": "identity"}
    for content in (body, iter([body[:7], body[7:]])):
        answer = service.client.post("/v1/messages/lookup", content=content, headers=headers)
        assert answer.json() == {"items": [], "notFound": [unknown]}
    answer = service.client.post("/v1/messages/lookup", content=body + b" ", headers=headers)
    assert answer.status_code == 413


def test_a_connection_is_kept_after_a_body_that_was_read(service: Service) -> None:
    body = b'{"trackingIds":["x"]}'
    head = _head("POST", "/v1/messages/lookup", _key(service), f"Content-Length: {len(body)}\r\n")
    with service.connection() as connection:
        for _ in range(3):
            connection.sendall(head + body)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in answer


async def test_a_route_without_a_key_has_no_body_to_read() -> None:
    got: list[Message] = []

    async def _greedy(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        got.append(await receive())

    async def _never() -> Message:
        raise AssertionError

    async def _send(message: Message) -> None:
        del message

    scope = {"type": "http", "path": "/livez", "headers": [(b"content-length", b"7")]}
    await RequestBodies(_greedy, None)(scope, _never, _send)  # type: ignore[arg-type]
    assert got == [{"type": "http.request", "body": b"", "more_body": False}]
