import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.callback_protocol import CallbackProtocol
from app.api.http_protocol import HttpProtocol
from app.services.callbacks.intake import Body
from tests.api.protocol_stage import (
    MAX_BODY_BYTES,
    SECRET,
    STATUS,
    STORED,
    Protocol,
    Stage,
    post,
    serving,
)


@pytest.fixture(params=[CallbackProtocol, HttpProtocol])
def http(request: pytest.FixtureRequest) -> Protocol:
    protocol: Protocol = request.param
    return protocol


@pytest.fixture
async def stage(http: Protocol) -> AsyncIterator[Stage]:
    async with serving(Stage(http)) as stage:
        yield stage


@pytest.fixture
async def fast_stage() -> AsyncIterator[Stage]:
    async with serving(Stage()) as stage:
        yield stage


async def test_a_callback_in_one_read_is_taken_at_once(fast_stage: Stage) -> None:
    connection = await fast_stage.connect()
    for body in (b"{}", b'{"a":1}'):
        await connection.send(post(body))
        status, head, answer = await connection.answer()
        assert (status, answer) == (200, STORED)
        assert b"content-type: application/json" in head
        assert b"\r\ndate: " in head
        assert b"connection: close" not in head
    assert fast_stage.intake.put_directly == [
        Body(b"{}", "/callbacks/***/status", None),
        Body(b'{"a":1}', "/callbacks/***/status", None),
    ]
    assert fast_stage.intake.through_asgi == []


async def test_behind_a_trailer_that_ends_the_connection_nothing_is_taken(
    fast_stage: Stage,
) -> None:
    other, connection = await fast_stage.connect(), await fast_stage.connect()
    await other.send(post(b"[1]"))
    await other.answer()
    chunks = b"3\r\n[0]\r\n0\r\nConnection: close\r\n\r\n"
    lines = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await connection.send(lines.encode() + chunks)
    await connection.answer()
    await connection.send(post(b"[2]"))
    await other.send(post(b"[3]"))
    await other.answer()
    assert [body.octets for body in fast_stage.intake.put_directly] == [b"[1]", b"[0]", b"[3]"]


@given(
    bodies=st.lists(st.sampled_from([b"{}", b"[1]", b"[2]", b""]), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    junk=st.sampled_from([b"", b"\r\n"]),
)
@settings(deadline=None, max_examples=15)
def test_however_requests_are_cut_their_bodies_are_the_same(
    bodies: list[bytes], cuts: list[int], junk: bytes
) -> None:
    async def _sent() -> list[bytes]:
        async with serving(Stage()) as stage:
            connection = await stage.connect()
            await connection.send(post(b"[1]"))
            await connection.answer()
            stream = b"".join(junk + post(body) for body in bodies)
            places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
            for begin, end in pairwise(places):
                connection.writer.write(stream[begin:end])
                await connection.writer.drain()
                await asyncio.sleep(0.005)
            for _ in bodies:
                assert (await connection.answer())[2] == STORED
            put = [body.octets for body in stage.intake.put_directly]
            return [b"[1]", *sorted([*put[1:], *stage.intake.through_asgi])]

    assert asyncio.run(_sent()) == [b"[1]", *sorted(bodies)]


async def test_a_body_that_comes_later_goes_through_asgi(fast_stage: Stage) -> None:
    request = post(b'{"a":1}')
    connection = await fast_stage.connect()
    await connection.send(request[:-5], request[-5:-2], request[-2:])
    assert (await connection.answer())[::2] == (200, STORED)
    assert fast_stage.intake.through_asgi == [b'{"a":1}']
    await connection.send(post(b"{}"))
    assert (await connection.answer())[::2] == (200, STORED)
    assert [body.octets for body in fast_stage.intake.put_directly] == [b"{}"]


async def test_headers_that_come_in_pieces_change_nothing(stage: Stage) -> None:
    request = post(b"{}")
    connection = await stage.connect()
    await connection.send(request[:20], request[20:40], request[40:])
    assert (await connection.answer())[::2] == (200, STORED)
    assert stage.taken() == [b"{}"]


async def test_a_chunked_body_is_taken_whole(stage: Stage) -> None:
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    connection = await stage.connect()
    await connection.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (await connection.answer())[::2] == (200, STORED)
    assert stage.taken() == [b"abcde"]


async def test_requests_sent_ahead_are_answered_in_their_order(stage: Stage) -> None:
    stage.intake.gate.clear()
    connection = await stage.connect()
    other = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    await connection.send(post(b"1") + other + post(b"2"))
    await stage.intake.has(1)
    await asyncio.sleep(0.1)
    assert stage.taken() == [b"1"]
    stage.intake.gate.set()
    assert (await connection.answer())[2] == STORED
    assert (await connection.answer())[2] == b"elsewhere /livez"
    assert (await connection.answer())[2] == STORED


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b"{}", target="/callbacks/unknown/status"), 404),
        (post(b"{}", target=f"/callbacks/{SECRET}/other"), 404),
        (post(b"{}", target=f"/callbacks/{SECRET}/status/"), 200),
        (post(b"{}", target=f"/callbacks/%73{SECRET[1:]}/status"), 200),
        (post(b"x" * (MAX_BODY_BYTES + 1)), 413),
        (f"GET {STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 200),
        (post(b"{}", target="/elsewhere"), 200),
    ],
)
async def test_whatever_is_special_goes_through_asgi(
    stage: Stage, request_: bytes, status: int
) -> None:
    connection = await stage.connect()
    await connection.send(request_)
    assert (await connection.answer())[0] == status
    assert stage.intake.put_directly == []


async def test_a_connection_may_mix_callbacks_with_anything_else(stage: Stage) -> None:
    connection = await stage.connect()
    others = [
        (post(b"{}", target="/callbacks/unknown/status"), 404),
        (post(b""), 200),
        (post(b"x" * (MAX_BODY_BYTES + 1)), 413),
    ]
    for request, status in others:
        for _ in range(2):
            await connection.send(post(b"{}"))
            assert (await connection.answer())[::2] == (200, STORED)
        await connection.send(request)
        assert (await connection.answer())[0] == status


async def test_who_asks_for_it_is_let_go_after_the_answer(stage: Stage) -> None:
    connection = await stage.connect()
    await connection.send(post(b"{}", "Connection: close"))
    assert (await connection.answer())[0] == 200
    assert await connection.is_closed()


async def test_what_is_not_durable_is_answered_with_503(stage: Stage) -> None:
    connection = await stage.connect()
    stage.intake.outcome = RuntimeError("whatever")
    await connection.send(post(b"1"))
    status, head, _ = await connection.answer()
    assert status == 503
    assert b"retry-after: 5" in head
    stage.intake.is_full = True
    await connection.send(post(b"2"))
    assert (await connection.answer())[0] == 503
    count = 'receiver_callbacks_total{kind="status",result="not-stored"} 2.0'
    assert count in stage.metrics.exposition().decode()


async def test_a_client_that_leaves_costs_nobody_else_their_answer(stage: Stage) -> None:
    stage.intake.gate.clear()
    leaving, staying = await stage.connect(), await stage.connect()
    await leaving.send(post(b"1"))
    await staying.send(post(b"2"))
    await stage.intake.has(2)
    leaving.writer.transport.abort()
    await asyncio.sleep(0.05)
    stage.intake.gate.set()
    assert (await staying.answer())[::2] == (200, STORED)


async def test_a_shutdown_waits_for_the_answer(http: Protocol) -> None:
    async with serving(Stage(http)) as stage:
        stage.intake.gate.clear()
        connection = await stage.connect()
        await connection.send(post(b"{}"))
        await stage.intake.has(1)
        stage.server.should_exit = True
        await asyncio.sleep(0.3)
        stage.intake.gate.set()
        status, head, body = await connection.answer()
        assert (status, body) == (200, STORED)
        assert b"connection: close" in head
        assert await connection.is_closed()


async def test_nonsense_after_the_headers_is_refused(stage: Stage) -> None:
    head = f"POST {STATUS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    connection = await stage.connect()
    await connection.send(head + b"nonsense\r\n")
    assert (await connection.answer())[0] == 400
    assert stage.intake.put_directly == []


async def test_a_connection_is_kept_as_long_as_it_is_used_and_closed_when_it_is_idle(
    http: Protocol,
) -> None:
    async with serving(Stage(http, keep_alive_seconds=2)) as stage:
        connection = await stage.connect()
        started = asyncio.get_running_loop().time()
        for _ in range(4):
            await asyncio.sleep(0.6)
            await connection.send(post(b"{}"))
            assert (await connection.answer())[0] == 200
        assert asyncio.get_running_loop().time() - started > 2
        assert len(stage.taken()) == 4
        assert await connection.is_closed()


async def test_an_earlier_answer_through_asgi_does_not_end_a_later_request(http: Protocol) -> None:
    async with serving(Stage(http, keep_alive_seconds=1)) as stage:
        other, connection = await stage.connect(), await stage.connect()
        await other.send(post(b"{}"))
        await other.answer()
        await connection.send(post(b"{}", target="/elsewhere"))
        await connection.answer()
        stage.intake.gate.clear()
        await connection.send(post(b"{}"))
        await asyncio.sleep(1.5)
        stage.intake.gate.set()
        assert (await connection.answer())[2] == STORED


async def test_a_connection_whose_answer_takes_long_is_not_idle(http: Protocol) -> None:
    async with serving(Stage(http, keep_alive_seconds=1)) as stage:
        connection = await stage.connect()
        await connection.send(post(b"{}"))
        assert (await connection.answer())[0] == 200
        stage.intake.gate.clear()
        await connection.send(post(b"{}"))
        await asyncio.sleep(1.5)
        stage.intake.gate.set()
        assert (await connection.answer())[0] == 200
        assert await connection.is_closed()
