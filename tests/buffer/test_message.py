import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from app.buffer.message import (
    MAX_CONTENT_BYTES,
    BufferedBatch,
    BufferedBody,
    MessageDamaged,
    decoded,
    encoded,
    size_of,
)

_NOW = datetime(2026, 7, 5, 10, 28, 44, 123457, tzinfo=UTC)
_PATH = "/callbacks/***/status"
_PROGRESS = (Path(__file__).parents[1] / "payloads" / "progress.json").read_bytes()
#: Of a server's default limit of 1 MiB, for the subject and headers.
_MESSAGE_BYTES = 1024 * 1024 - 1024

_texts = st.sampled_from(["", "/callbacks/***/status", "text/plain; charset=é", "𝄞" * 50])
_bodies = st.builds(
    BufferedBody,
    st.binary(max_size=200),
    _texts,
    st.none() | st.uuids(),
    st.none() | st.tuples(_texts, _texts),
)


def _batch(*bodies: BufferedBody) -> BufferedBatch:
    return BufferedBatch(list(bodies), _NOW)


def _plain(octets: bytes) -> BufferedBody:
    return BufferedBody(octets, _PATH, None, None)


def _signed(head: bytes, content: bytes) -> bytes:
    return head + hashlib.sha256(head + content).digest() + content


@settings(max_examples=30)
@given(st.lists(_bodies, max_size=4), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_a_batch_is_read_as_it_was_written(bodies: list[BufferedBody], at: datetime) -> None:
    batch = BufferedBatch(bodies, at.replace(tzinfo=UTC))
    assert decoded(encoded(batch)) == batch


def test_callbacks_that_are_alike_are_compressed() -> None:
    batch = _batch(*(_plain(_PROGRESS) for _ in range(100)))
    assert len(encoded(batch)) < len(_PROGRESS) * 5


def test_the_largest_content_fits_into_one_message() -> None:
    body = BufferedBody(os.urandom(1000), _PATH, uuid4(), ("é", "gzip"))
    items = MAX_CONTENT_BYTES // size_of(body)
    batch = _batch(*(body._replace(octets=os.urandom(1000)) for _ in range(items)))
    message = encoded(batch)
    assert MAX_CONTENT_BYTES * 0.8 < len(message) < _MESSAGE_BYTES
    assert decoded(message) == batch


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    message = bytearray(encoded(_batch(_plain(_PROGRESS))))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageDamaged):
        decoded(bytes(message))


@given(st.binary(max_size=100))
def test_what_is_no_message_is_damaged(octets: bytes) -> None:
    with pytest.raises(MessageDamaged):
        decoded(octets)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        (0, b"\xc1"),
        (0, b"\x92\x01\x02"),
        (0, b"\x92\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x90"),  # received at NaN
        (1, b"not zstandard"),
        (1, zstandard.ZstdCompressor().compress(bytes(2 * MAX_CONTENT_BYTES))),
        (1, zstandard.ZstdCompressor(write_content_size=False).compress(b"\x92\x01\x90")),
    ],
)
def test_content_that_is_signed_and_senseless_is_damaged(encoding: int, content: bytes) -> None:
    with pytest.raises(MessageDamaged):
        decoded(_signed(b"RR\x01" + bytes((encoding,)), content))


def test_a_message_of_another_version_is_not_guessed_at() -> None:
    message = encoded(_batch(_plain(_PROGRESS)))
    with pytest.raises(MessageDamaged, match="version"):
        decoded(_signed(b"RR\x02" + message[3:4], message[36:]))
