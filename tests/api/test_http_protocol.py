import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from typing import Final

import pytest

from app.api.callback_protocol import CallbackProtocol
from app.api.http_protocol import MAX_HEAD_BYTES, HttpProtocol
from app.kit.connections import ConnectionLimit
from tests.api.protocol_stage import (
    SECRET,
    STATUS,
    STORED,
    Connection,
    Protocol,
    Stage,
    post,
    serving,
)

BODY: Final = b'{"a":"0123456789"}'
OFFERS: Final = {
    "Java's HttpClient": (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
    ),
    "nginx with the snippet for web sockets": ("Upgrade: websocket", "Connection: upgrade"),
    "a web socket": (
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "several at once": ("Upgrade: h2c, TLS/1.2", "UPGRADE:IRC/6.9", "connection:upgrade"),
    "whatever": ("Connection: upgrade", "Upgrade: whatever/1"),
}
each_offer = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())


def chunked(body: bytes, *headers: str, target: str = STATUS, trailer: bytes = b"") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *headers]
    parts = b"".join(b"%x;e=1\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    return "\r\n".join([*lines, "", ""]).encode() + parts + b"0\r\n" + trailer + b"\r\n"


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.fixture(params=[CallbackProtocol, HttpProtocol])
def http(request: pytest.FixtureRequest) -> Protocol:
    protocol: Protocol = request.param
    return protocol


@pytest.fixture
async def stage(http: Protocol) -> AsyncIterator[Stage]:
    async with serving(Stage(http)) as stage:
        yield stage


def stored(stage: Stage) -> list[bytes]:
    """Every body that was taken, by either way."""
    return [body.octets for body in stage.intake.put_directly] + stage.intake.through_asgi


def framings(*headers: str) -> dict[str, tuple[bytes, bytes]]:
    """Requests of every framing with *headers*, each with the body of its answer."""
    return {
        "with a length": (post(BODY, *headers), STORED),
        "in chunks": (chunked(BODY, *headers), STORED),
        "in chunks with a trailer": (chunked(BODY, *headers, trailer=b"X: y\r\n"), STORED),
        "that is expected": (post(BODY, "Expect: 100-continue", *headers), STORED),
        "to the API": (post(BODY, *headers, target="/v1/x"), b"elsewhere /v1/x %d" % len(BODY)),
        "to the API in chunks": (
            chunked(BODY, *headers, target="/v1/x"),
            b"elsewhere /v1/x %d" % len(BODY),
        ),
        "of nothing": (get("/livez", *headers), b"elsewhere /livez"),
        "of nothing, to a callback URL": (get(STATUS, *headers), b'{"result":"ready"}'),
    }


async def _answers(connection: Connection, count: int) -> list[bytes]:
    """The bodies of so many answers; each is 200."""
    bodies = []
    for _ in range(count):
        status, _, body = await connection.answer()
        assert status == 200
        bodies.append(body)
    return bodies


@each_offer
async def test_an_offer_changes_no_request_nor_the_next_one(
    stage: Stage, offer: tuple[str, ...]
) -> None:
    for request, expected in framings(*offer).values():
        connection = await stage.connect()
        await connection.send(request + post(b"[1]") + request + get("/end"))
        assert await _answers(connection, 4) == [expected, STORED, expected, b"elsewhere /end"]
    bodies = stored(stage)
    assert set(bodies) == {BODY, b"[1]"}
    assert bodies.count(b"[1]") == len(framings())
    assert bodies.count(BODY) == 2 * sum(answer == STORED for _, answer in framings().values())


@pytest.mark.parametrize("framing", framings().keys())
@pytest.mark.parametrize("offer", [(), OFFERS["Java's HttpClient"]], ids=["no offer", "an offer"])
async def test_a_request_may_be_cut_anywhere(
    stage: Stage, framing: str, offer: tuple[str, ...]
) -> None:
    request, expected = framings(*offer)[framing]
    both = request + get("/end")

    async def _cut(at: int) -> None:
        connection = await stage.connect()
        connection.writer.write(both[:at])
        await asyncio.sleep(0.02)
        connection.writer.write(both[at:])
        assert await _answers(connection, 2) == [expected, b"elsewhere /end"], at

    await asyncio.gather(*map(_cut, range(1, len(both))))
    assert set(stored(stage)) <= {BODY}


@each_offer
async def test_a_request_may_come_byte_for_byte(stage: Stage, offer: tuple[str, ...]) -> None:
    for request, expected in framings(*offer).values():
        connection = await stage.connect()
        for byte in request + get("/end"):
            connection.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await _answers(connection, 2) == [expected, b"elsewhere /end"]


async def test_many_requests_with_and_without_offers_get_their_own_answers(stage: Stage) -> None:
    made = random.Random(7)  # noqa: S311 (repeatable)
    connection = await stage.connect()
    chosen = [
        made.choice(list(framings(*made.choice([(), *OFFERS.values()])).values()))
        for _ in range(200)
    ]
    stream = b"".join(request for request, _ in chosen)
    places = sorted({0, len(stream), *(made.randrange(len(stream)) for _ in range(300))})
    for begin, end in pairwise(places):
        connection.writer.write(stream[begin:end])
        await asyncio.sleep(0)
    assert await _answers(connection, 200) == [expected for _, expected in chosen]


async def test_a_close_beside_an_offer_closes(stage: Stage) -> None:
    connection = await stage.connect()
    await connection.send(post(BODY, "Connection: close, upgrade", "Upgrade: h2c"))
    assert (await connection.answer())[::2] == (200, STORED)
    assert await connection.is_closed()


async def test_no_tunnel_is_opened(stage: Stage) -> None:
    connection = await stage.connect()
    await connection.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await connection.answer())[0] == 501
    assert await connection.is_closed()


@pytest.mark.parametrize(
    "request_",
    [
        post(BODY)[:-1],
        post(BODY, "Connection: Upgrade", "Upgrade: h2c")[:-1],
        chunked(BODY)[:-5],
        chunked(BODY, "Connection: Upgrade", "Upgrade: websocket")[:-5],
    ],
)
async def test_a_body_that_does_not_come_is_not_acknowledged(stage: Stage, request_: bytes) -> None:
    connection = await stage.connect()
    await connection.send(request_)
    assert (await connection.answer())[0] == 408
    assert stored(stage) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"0\r\n\r\n"],
)
async def test_an_announced_body_of_nothing_is_not_acknowledged(stage: Stage, body: bytes) -> None:
    connection = await stage.connect()
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await connection.send(head.encode() + (body or b"0\r\n\r\n"))
    assert (await connection.answer())[0] == 400
    assert stored(stage) == []


def _large_heads() -> Iterable[tuple[str, bytes]]:
    long = b"x" * (MAX_HEAD_BYTES + 1)
    start = f"POST {STATUS} HTTP/1.1\r\n".encode()
    yield "one header", start + b"X: " + long + b"\r\n\r\n"
    yield "a header without an end", start + b"X: " + long * 4
    yield "a name", start + long + b": x\r\n\r\n"
    yield "many headers", start + b"X: y\r\n" * MAX_HEAD_BYTES
    yield "a path", b"GET /" + long + b" HTTP/1.1\r\n\r\n"
    yield "an offer", start + b"Connection: upgrade\r\nUpgrade: " + long + b"\r\n\r\n"


@pytest.mark.parametrize(("name", "head"), list(_large_heads()), ids=lambda value: str(value)[:20])
async def test_a_large_head_is_refused_and_costs_no_more(
    stage: Stage, name: str, head: bytes
) -> None:
    del name
    for pieces in ([head], [head[:100], head[100:]]):
        connection = await stage.connect()
        await connection.send(*pieces)
        assert (await connection.answer())[0] == 431
        assert await connection.is_closed()


async def test_a_head_of_nearly_64_kib_is_read(stage: Stage) -> None:
    connection = await stage.connect()
    padding = "x" * (MAX_HEAD_BYTES - 1000)
    for offer in ((), ("Connection: upgrade", "Upgrade: h2c")):
        await connection.send(post(BODY, f"X: {padding}", *offer) + post(BODY))
        assert await _answers(connection, 2) == [STORED, STORED]


@pytest.mark.parametrize("rest", [b"1;" + b"x" * 100_000, b"0\r\nX: " + b"x" * 100_000])
async def test_what_frames_a_body_is_limited_too(stage: Stage, rest: bytes) -> None:
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = await stage.connect()
    await connection.send(head.encode(), rest)
    assert (await connection.answer())[0] in (408, 431)
    assert await connection.is_closed()
    assert stored(stage) == []


async def test_a_body_in_tiny_chunks_is_read(stage: Stage) -> None:
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n"
    connection = await stage.connect()
    await connection.send(head.encode() + chunks)
    assert (await connection.answer())[::2] == (200, STORED)
    assert stored(stage) == [b"x" * 30_000]


@pytest.mark.parametrize("sent", [b"", b"POST", post(BODY)[:60], b"\r\n"])
async def test_a_head_that_does_not_become_whole_ends_the_connection(
    http: Protocol, sent: bytes
) -> None:
    async with serving(Stage(http, head_seconds=0.3)) as stage:
        new, used = await stage.connect(), await stage.connect()
        await used.send(post(b"[1]"))
        await used.answer()
        await new.send(sent)
        if sent:
            await used.send(sent)
        for connection in [new, used] if sent else [new]:
            if sent:
                assert (await connection.answer())[0] == 408
            assert await connection.is_closed()


async def test_a_slow_head_does_not_hold_up_the_answer_before_it(http: Protocol) -> None:
    async with serving(Stage(http, head_seconds=0.3)) as stage:
        stage.intake.gate.clear()
        connection = await stage.connect()
        await connection.send(post(b"[1]") + b"POST /")
        await asyncio.sleep(0.5)
        stage.intake.gate.set()
        assert (await connection.answer())[::2] == (200, STORED)
        assert (await connection.answer())[0] == 408
        assert await connection.is_closed()


async def test_nonsense_does_not_cost_the_requests_before_it_their_answers(stage: Stage) -> None:
    stage.intake.gate.clear()
    connection = await stage.connect()
    await connection.send(post(b"[1]") + get("/x") + post(b"[2]") + b"nonsense\r\n\r\n")
    await stage.intake.has(1)
    await asyncio.sleep(0.05)
    stage.intake.gate.set()
    answers = [(await connection.answer())[::2] for _ in range(4)]
    assert answers[:3] == [(200, STORED), (200, b"elsewhere /x"), (200, STORED)]
    assert answers[3][0] == 400
    assert await connection.is_closed()


async def test_nonsense_within_a_body_behind_others_is_not_answered_in_their_place(
    stage: Stage,
) -> None:
    stage.intake.gate.clear()
    connection = await stage.connect()
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await connection.send(post(b"[1]") + get("/x") + head.encode() + b"nonsense\r\n")
    await stage.intake.has(1)
    await asyncio.sleep(0.05)
    stage.intake.gate.set()
    answers = [(await connection.answer())[::2] for _ in range(3)]
    assert answers[:2] == [(200, STORED), (200, b"elsewhere /x")]
    assert answers[2][0] == 400
    assert await connection.is_closed()


async def test_nonsense_behind_an_early_answer_is_not_answered_again(stage: Stage) -> None:
    head = "POST /callbacks/wrong/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = await stage.connect()
    await connection.send(head.encode())
    assert (await connection.answer())[0] == 404
    await connection.send(b"nonsense\r\n")
    assert await connection.is_closed()


async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(http: Protocol) -> None:
    async with serving(Stage(http, head_seconds=0.3)) as stage:
        connection = await stage.connect()
        await connection.send(post(BODY, target="/callbacks/wrong/status")[:-5])
        assert (await connection.answer())[0] == 404
        assert await connection.is_closed()


async def test_beyond_the_limit_the_longest_idle_connection_makes_room(http: Protocol) -> None:
    async with serving(Stage(http, limit=ConnectionLimit(3))) as stage:
        stage.intake.gate.clear()
        busy = await stage.connect()
        await busy.send(post(b"[1]"))
        await stage.intake.has(1)
        silent = [await stage.connect() for _ in range(5)]
        for connection in silent[:3]:
            assert await connection.is_closed()
        posting = await stage.connect()
        await posting.send(post(b"[2]"))
        assert await silent[3].is_closed()
        stage.intake.gate.set()
        assert (await busy.answer())[2] == STORED
        assert (await posting.answer())[2] == STORED
        # Both have been idle for less long than the silent one.
        await (await stage.connect()).send(get("/x"))
        assert await silent[4].is_closed()
        await busy.send(post(b"[3]"))
        assert (await busy.answer())[2] == STORED


async def test_while_all_connections_are_busy_a_new_one_is_refused(http: Protocol) -> None:
    async with serving(Stage(http, limit=ConnectionLimit(2))) as stage:
        stage.intake.gate.clear()
        busy = [await stage.connect() for _ in range(2)]
        for connection in busy:
            await connection.send(post(b"[1]"))
        await stage.intake.has(2)
        assert await (await stage.connect()).is_closed()
        stage.intake.gate.set()
        for connection in busy:
            assert (await connection.answer())[2] == STORED


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_query_at_a_callback_url_is_no_check_of_it(stage: Stage, method: str) -> None:
    for query in ("trackingId=1&status=DELIVERED", "x"):
        connection = await stage.connect()
        request = f"{method} {STATUS}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        await connection.send(request.encode())
        async with asyncio.timeout(5):
            answer = await connection.reader.read()
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert SECRET.encode() not in answer
    count = 'receiver_callbacks_total{kind="status",result="method-not-allowed"} 2.0'
    assert count in stage.metrics.exposition().decode()
