"""Whatever Routee's host answers, it costs bounded memory and time."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.errors import RouteeTokenUnavailable, RouteeUnavailable
from app.routee.client import RouteeClient
from app.routee.exchange import MAX_ANSWER_BYTES
from tests.routee.scripted_routee import ScriptedRoutee, Step, says

ANSWER = b'{"trackingId":"c-1"}'
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
}
REQUEST = {"senderInfoTrackingId": "sender", "to": ["+306912345678"], "body": {"text": "Hi"}}


def _endless(piece: bytes, **headers: str) -> Step:
    async def step(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0)  # the client shares this loop
                yield piece

        return StreamingResponse(pieces(), headers=headers)

    return step


#: A thousandth of what it becomes.
BOMB = gzip.compress(ANSWER[:-1] + b" " * 50 * MAX_ANSWER_BYTES + b"}")


TOO_LARGE = {
    "endless": _endless(b" " * 65536),
    "long": says(200, ANSWER.ljust(MAX_ANSWER_BYTES + 1)),
    "a bomb": says(200, BOMB, headers={"Content-Encoding": "gzip"}),
    "a bomb in a bomb": says(200, gzip.compress(BOMB), headers={"Content-Encoding": "gzip, gzip"}),
    "endless after its end": _endless(
        gzip.compress(ANSWER) + b"x" * 65536, **{"Content-Encoding": "gzip"}
    ),
}


@pytest.mark.parametrize("coding", COMPRESS)
async def test_a_compressed_answer_is_read(
    routee: ScriptedRoutee, client: RouteeClient, coding: str
) -> None:
    routee.will(says(200, COMPRESS[coding](ANSWER), headers={"Content-Encoding": coding}))
    assert (await client.track_message("m"))["trackingId"] == "c-1"
    assert routee.calls[0].headers["accept-encoding"] == "identity"


async def test_an_answer_of_exactly_the_limit_is_read(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    body = ANSWER.ljust(MAX_ANSWER_BYTES)
    routee.will(
        says(200, body), says(200, gzip.compress(body), headers={"Content-Encoding": "gzip"})
    )
    for _ in range(2):
        assert (await client.track_message("m"))["trackingId"] == "c-1"


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_a_launch_whose_answer_is_too_large_is_unconfirmed(
    routee: ScriptedRoutee, client: RouteeClient, name: str
) -> None:
    routee.will(TOO_LARGE[name])
    with pytest.raises(RouteeUnavailable) as caught:
        await client.launch_campaign(REQUEST)
    assert caught.value.may_have_been_accepted
    assert caught.value.http_status == 200
    assert "launch the campaign" in str(caught.value)
    expected = (
        "unknown encoding" if "in a bomb" in name else f"larger than {MAX_ANSWER_BYTES} bytes"
    )
    assert expected in str(caught.value)
    assert len(routee.calls) == 1


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_a_token_in_an_answer_that_is_too_large_is_no_token(
    routee: ScriptedRoutee, client: RouteeClient, name: str
) -> None:
    routee.will_give_tokens(TOO_LARGE[name])
    with pytest.raises(RouteeTokenUnavailable) as caught:
        await client.launch_campaign(REQUEST)
    assert not caught.value.may_have_been_accepted
    assert routee.calls == []


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("br", ANSWER, "unknown encoding"),
        ("gzip", ANSWER, "cannot be decompressed"),
        ("gzip", gzip.compress(ANSWER)[:-9], "incomplete"),
    ],
)
async def test_an_answer_that_cannot_be_decompressed_says_so(
    routee: ScriptedRoutee, client: RouteeClient, coding: str, body: bytes, why: str
) -> None:
    routee.will(says(200, body, headers={"Content-Encoding": coding}))
    with pytest.raises(RouteeUnavailable, match=why) as caught:
        await client.track_message("m")
    assert not caught.value.temporary
    assert len(routee.calls) == 1
