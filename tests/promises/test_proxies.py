"""Directly or behind a proxy, everybody gets the answer to their own request."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import pytest

from app.sandbox.processes import HOST
from tests.promises.conftest import Look
from tests.promises.load import callback
from tests.promises.proxies import PROXIES, proxy
from tests.promises.stage import SECRET, Service, eventually

STATUS: Final = f"/callbacks/{SECRET}/status"
REQUESTS: Final = 15_000
CLIENTS: Final = 24
OFFERS: Final = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n",
    (
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    ),
    "Connection: keep-alive, Upgrade\r\nUpgrade: IRC/6.9\r\n",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Exchange(NamedTuple):
    """A request, and what its answer is."""

    octets: bytes
    status: int
    body: bytes


def _posted(message: str, extra: str = "", *, chunked: bool = False) -> Exchange:
    body = callback(message, campaign=f"c{message[-1]}").body
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\n{framing}\r\n{extra}\r\n"
    octets = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    return Exchange(head.encode() + octets, 200, b'{"result":"stored"}')


def _asked(path: str, status: int, body: bytes, extra: str = "") -> Exchange:
    return Exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode(), status, body)


class Client:
    """A connection that is kept, and opened again when the other side closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: bytes, *, cuts: int = 0) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        at = 0
        for end in (*range(len(request) // (cuts + 1), len(request), 200)[:cuts], len(request)):
            writer.write(request[at:end])
            await writer.drain()
            await asyncio.sleep(0)
            at = end
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@pytest.fixture(params=PROXIES)
async def port(
    request: pytest.FixtureRequest, service: Service, folder: Path
) -> AsyncIterator[int]:
    """Where requests go to: the service, or a proxy in front of it."""
    with proxy(request.param, service.port, folder) as port:

        async def _answers() -> bool:
            try:
                async with httpx.AsyncClient() as client:
                    return (await client.get(f"http://{HOST}:{port}/livez")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(_answers)
        yield port


async def _send(
    port: int, made: Callable[[random.Random, int], Exchange], numbers: "count[int]"
) -> tuple[Counter[tuple[int, int]], list[tuple[bytes, bytes]]]:
    """Send requests one after the other; wrong answers, and how many were as expected."""
    client, seen = Client(port), Counter[tuple[int, int]]()
    wrong: list[tuple[bytes, bytes]] = []
    while (number := next(numbers)) < REQUESTS:
        chance = random.Random(number)  # noqa: S311 (repeatable)
        wanted = made(chance, number)
        status, body = await client.exchange(wanted.octets, cuts=chance.choice((0, 0, 1, 3)))
        seen[wanted.status, status] += 1
        if (status, body) != (wanted.status, wanted.body):
            wrong.append((wanted.octets[:200], b"%d " % status + body[:200]))
    client.close()
    return seen, wrong


def _anything(chance: random.Random, number: int) -> Exchange:
    """One client in three offers other protocols; everybody asks for different things."""
    offer = chance.choice(("", "", *OFFERS))
    match chance.randrange(6):
        case 0:
            return _asked(STATUS, 200, b'{"result":"ready"}', offer)
        case 1:
            return _asked(f"/v1/messages/m-{number}", 401, _UNAUTHORISED, offer)
        case 2:
            return _posted(f"m-{number}", offer, chunked=True)
        case _:
            return _posted(f"m-{number}", offer)


_UNAUTHORISED: bytes = b""


async def test_nobody_gets_the_answer_to_another_request(
    port: int, service: Service, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{service.url}/v1/messages/m")
    monkeypatch.setattr(f"{__name__}._UNAUTHORISED", answer.content)
    numbers = count()
    results = await asyncio.gather(*(_send(port, _anything, numbers) for _ in range(CLIENTS)))
    assert [wrong for _, wrong in results if wrong] == []
    seen = sum((seen for seen, _ in results), Counter[tuple[int, int]]())
    assert seen.total() == REQUESTS
    made = (_anything(random.Random(number), number) for number in range(REQUESTS))  # noqa: S311
    posted = sum(exchange.body == b'{"result":"stored"}' for exchange in made)
    assert await look.number("SELECT count(*) FROM events") == posted
    assert await look.number("SELECT count(*) FROM quarantine") == 0


async def _dribble(port: int, octets: bytes, *, times: int) -> None:
    """Send a part every 50 ms, and never the whole."""
    _, writer = await asyncio.open_connection(HOST, port)
    for _ in range(times):
        if writer.is_closing():
            break
        writer.write(octets)
        await asyncio.sleep(0.05)
    writer.close()


async def test_slow_and_huge_heads_and_bodies_without_a_key_stop_nobody(
    port: int, look: Look
) -> None:
    slow = [_dribble(port, b"X: y\r\n", times=400) for _ in range(100)]
    huge = [
        _dribble(port, b"GET /" + b"x" * 65536, times=200),
        _dribble(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000, times=100),
        _dribble(port, (b"X%d: y\r\n" % 7) * 10_000, times=100),
    ]
    head = "POST /v1/campaigns/c/resolve HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n"
    bodies = [_dribble(port, head.encode() + b"x" * 1_000_000, times=200) for _ in range(4)]
    attackers = asyncio.gather(*slow, *huge, *bodies, return_exceptions=True)
    numbers, late = count(), 0

    async def _post() -> None:
        nonlocal late
        client = Client(port)
        while not attackers.done():
            wanted = _posted(f"n-{next(numbers)}")
            started = asyncio.get_running_loop().time()
            answer = await client.exchange(wanted.octets)
            late += asyncio.get_running_loop().time() - started > 2
            assert answer == (wanted.status, wanted.body)
            await asyncio.sleep(0.01)
        client.close()

    await asyncio.gather(*(_post() for _ in range(8)))
    assert late == 0
    assert await look.number("SELECT count(*) FROM events") == next(numbers)
