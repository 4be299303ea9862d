"""Answers are compressed as their callers accept it."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
import zstandard
from starlette.types import Message, Receive, Send
from starlette.types import Scope as ScopeOfAsgi

from app.api.compression import MIN_BYTES, Coding, Compressed, coding_for
from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br, deflate", None),
        ("gzip", Coding.GZIP),
        ("GZIP ; Q=0.5", Coding.GZIP),
        ("x-gzip", Coding.GZIP),
        ("*", Coding.GZIP),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *;q=1", None),
        ("gzip, deflate, br, zstd", Coding.ZSTD),
        ("gzip, zstd;q=0.9", Coding.GZIP),
        ("gzip;q=0.1, zstd;q=0.2", Coding.ZSTD),
        ("zstd;q=0, *", Coding.GZIP),
        ("gzip;q=0.5, identity", None),
        ("gzip, identity;q=0.5", Coding.GZIP),
        ("gzip;q=2", None),
        ("gzip;q=nonsense, zstd", Coding.ZSTD),
        (",,;q=1,gzip", Coding.GZIP),
        ("gzip," * 1000, None),
    ],
)
def test_the_coding_follows_the_qualities(accepted: str, coding: Coding | None) -> None:
    assert coding_for(accepted) is coding


def _raw(service: Service, path: str, accepted: str, scope: Scope = Scope.READ) -> httpx.Response:
    """An answer whose body is as it was sent."""
    headers = {**service.bearer(scope), "Accept-Encoding": accepted}
    with service.client.stream("GET", path, headers=headers) as answer:
        answer.extensions["sent"] = b"".join(answer.iter_raw())
    return answer


def _opened(coding: str | None, sent: bytes) -> bytes:
    if coding == "gzip":
        return gzip.decompress(sent)
    return zstandard.ZstdDecompressor().decompressobj().decompress(sent) if coding else sent


@pytest.fixture(scope="module")
def label(service: Service) -> str:
    """Of 400 messages, which are a list of more than 100 kB."""
    label = new_id("label")
    service.stored([progress(label=label) for _ in range(400)])
    return label


@pytest.mark.parametrize("limit", [1, 10, 400])
@pytest.mark.parametrize("coding", ["gzip", "zstd", None])
def test_a_list_is_the_same_in_every_coding(
    service: Service, label: str, coding: str | None, limit: int
) -> None:
    path = f"/v1/messages?label={label}&limit={limit}"
    plain = _raw(service, path, "identity")
    answer = _raw(service, path, coding or "identity")
    sent = answer.extensions["sent"]
    is_long = int(plain.headers["content-length"]) >= MIN_BYTES
    expected = coding if is_long else None
    assert answer.headers.get("content-encoding") == expected
    assert int(answer.headers["content-length"]) == len(sent)
    assert _opened(expected, sent) == plain.extensions["sent"]
    assert "accept-encoding" in answer.headers["vary"].lower()
    if expected:
        assert len(sent) < len(plain.extensions["sent"]) / 2


def test_an_entity_tag_is_good_for_every_coding(service: Service) -> None:
    numbers = [f"+3069{number:08}" for number in range(300)]
    path = f"/v1/campaigns/{service.launched(to=numbers)['id']}?fields=*,to"
    answers = [_raw(service, path, coding) for coding in ("identity", "gzip", "zstd")]
    (tag,) = {answer.headers["etag"] for answer in answers}
    assert tag.startswith("W/")
    for coding in ("identity", "gzip", "zstd"):
        headers = service.bearer(Scope.READ) | {"If-None-Match": tag, "Accept-Encoding": coding}
        again = service.client.get(path, headers=headers)
        assert (again.status_code, again.content) == (304, b"")
        assert "content-encoding" not in again.headers
        assert "accept-encoding" in again.headers["vary"].lower()


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_export_is_compressed_in_the_stream(
    service: Service, label: str, format_: str, coding: str
) -> None:
    del label
    path = f"/v1/exports/messages?format={format_}"
    answer = _raw(service, path, coding, Scope.ADMIN)
    assert answer.headers["content-encoding"] == coding
    assert "content-length" not in answer.headers
    plain = _raw(service, path, "identity", Scope.ADMIN).extensions["sent"]
    assert sorted(_opened(coding, answer.extensions["sent"]).splitlines()) == sorted(
        plain.splitlines()
    )


def test_operations_and_problems_are_compressed_too(service: Service) -> None:
    for path in ("/openapi.json", "/docs", "/metrics", "/v1/events?" + "&".join(
        f"unknown-parameter-{number}=1" for number in range(19)
    )):  # fmt: skip
        answer = _raw(service, path, "gzip")
        assert answer.headers["content-encoding"] == "gzip", path
        assert gzip.decompress(answer.extensions["sent"])


def test_callbacks_are_answered_as_they_are(service: Service) -> None:
    answer = service.post(progress(), headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


def test_the_feed_is_compressed_for_those_who_accept_it_only(service: Service) -> None:
    campaign = new_id("c")
    service.stored([reply(campaignTrackingId=campaign) for _ in range(20)])
    service.stored(progress(campaignTrackingId=campaign))
    path = f"/v1/events?campaignTrackingId={campaign}&wait=5"
    plain, packed = _raw(service, path, "identity"), _raw(service, path, "gzip, zstd;q=0.5")
    assert packed.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.extensions["sent"])) == json.loads(
        plain.extensions["sent"]
    )


class _App:
    """Answers with *pieces*; as a whole if there is one and *length* says so."""

    def __init__(self, pieces: Iterable[bytes], *headers: tuple[bytes, bytes]) -> None:
        self._pieces = list(pieces)
        self._headers = [(b"content-type", b"application/json"), *headers]

    async def __call__(self, scope: ScopeOfAsgi, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        for at, piece in enumerate(self._pieces, 1):
            more = at < len(self._pieces)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


async def _answered(app: Any, accepted: bytes = b"gzip") -> list[Message]:  # noqa: ANN401
    messages: list[Message] = []

    async def _send(message: Message) -> None:
        messages.append(message)

    async def _receive() -> Message:
        raise AssertionError

    scope = {"type": "http", "headers": [(b"accept-encoding", accepted)]}
    await app(scope, _receive, _send)
    return messages


async def test_the_pieces_of_a_stream_are_passed_on_before_it_ends() -> None:
    noise = [zlib.compress(str(number).encode() * 9) * 4000 for number in range(3)]
    messages = await _answered(Compressed(_App([*noise, b"end"])))
    bodies = [message for message in messages if message["type"] == "http.response.body"]
    assert len(bodies) > 1
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]
    assert gzip.decompress(b"".join(body["body"] for body in bodies)) == b"".join(noise) + b"end"


@pytest.mark.parametrize(("accepted", "coding"), [(b"gzip", "gzip"), (b"zstd", "zstd")])
async def test_a_short_piece_can_be_read_before_the_next_one_comes(
    accepted: bytes, coding: str
) -> None:
    messages = await _answered(Compressed(_App([b"id,status\r\n", b"x" * 9, b"end"])), accepted)
    bodies = [message["body"] for message in messages[1:]]
    if coding == "gzip":
        opening: Any = zlib.decompressobj(31)
    else:
        opening = zstandard.ZstdDecompressor().decompressobj()
    assert [opening.decompress(body) for body in bodies] == [b"id,status\r\n", b"x" * 9, b"end"]


async def test_what_is_encoded_already_or_is_no_text_is_passed_on() -> None:
    body = b"x" * 5000
    length = (b"content-length", b"5000")
    for header in ((b"content-encoding", b"br"), (b"content-type", b"image/png")):
        messages = await _answered(Compressed(_App([body], length, header)))
        assert messages[1]["body"] == body


async def test_a_long_body_is_compressed_off_the_loop_and_once_for_all_who_get_it() -> None:
    body = b"".join(b"%d," % number for number in range(2_000_000))
    app = Compressed(_App([body], (b"content-length", b"%d" % len(body))))
    ticks = 0

    async def _count() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(_count())
    answers = await asyncio.gather(*(_answered(app) for _ in range(20)))
    counting.cancel()
    assert ticks > 100
    first = answers[0][1]["body"]
    assert all(answer[1]["body"] is first for answer in answers)
    assert gzip.decompress(first) == body
