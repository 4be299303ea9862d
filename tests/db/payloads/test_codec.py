import secrets
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdCompressor, frame_content_size

from app.db.payloads import PLAIN, codec, compressed, opened
from app.db.payloads.codec import CURRENT
from app.errors import PayloadUnreadable

from .unseen import DOCUMENTED, unseen

PROGRESS = DOCUMENTED["progress"]


@given(st.binary(max_size=5000) | st.text(max_size=500).map(str.encode))
def test_any_bytes_come_back_exactly_and_never_take_more_space(body: bytes) -> None:
    stored, dictionary = compressed(body)
    assert len(stored) <= len(body)
    assert opened(stored, dictionary) == body


@given(st.integers(0, len(PROGRESS)), st.binary(max_size=50))
def test_bytes_that_resemble_a_callback_come_back_exactly(at: int, between: bytes) -> None:
    body = PROGRESS[:at] + between + PROGRESS[at:]
    assert opened(*compressed(body)) == body


@pytest.mark.parametrize(("name", "share"), [("progress", 0.4), ("inbound", 0.55)])
def test_documented_payloads_shrink(name: str, share: float) -> None:
    stored, dictionary = compressed(DOCUMENTED[name])
    assert dictionary == CURRENT
    assert len(stored) < share * len(DOCUMENTED[name])


def test_callbacks_that_were_not_trained_on_shrink_to_less_than_a_half() -> None:
    rng = Random(11)  # noqa: S311
    bodies = [unseen(rng) for _ in range(300)]
    pairs = [compressed(body) for body in bodies]
    assert {dictionary for _, dictionary in pairs} == {CURRENT}
    assert sum(len(stored) for stored, _ in pairs) < 0.5 * sum(map(len, bodies))
    assert [opened(*pair) for pair in pairs] == bodies


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", secrets.token_bytes(700)])
def test_bodies_that_would_not_shrink_are_stored_plain(body: bytes) -> None:
    assert compressed(body) == (body, PLAIN)


def test_a_body_larger_than_what_is_opened_is_stored_plain() -> None:
    largest = bytes(codec.MAX_PAYLOAD_BYTES)
    stored, dictionary = compressed(largest)
    assert dictionary == CURRENT
    assert opened(stored, dictionary) == largest
    assert compressed(largest + b"\0")[1] == PLAIN


def test_an_unknown_dictionary_is_named() -> None:
    with pytest.raises(PayloadUnreadable, match="dictionary 29"):
        opened(b"anything", 29)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no frame",
        compressed(PROGRESS)[0][:-1],
        compressed(PROGRESS)[0][:20],
        compressed(PROGRESS)[0] + b"more",
        ZstdCompressor(write_content_size=False).compress(PROGRESS),
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip",
    ],
)
def test_damaged_bytes_are_an_error_that_quotes_nothing(damaged: bytes) -> None:
    with pytest.raises(PayloadUnreadable, match="damaged") as raised:
        opened(damaged, CURRENT)
    assert "+3069" not in str(raised.value)


@given(st.integers(0, len(compressed(PROGRESS)[0]) - 1), st.integers(1, 255))
def test_one_changed_byte_is_an_error_or_another_body_but_no_crash(at: int, change: int) -> None:
    stored = bytearray(compressed(PROGRESS)[0])
    stored[at] ^= change
    with suppress(PayloadUnreadable):
        opened(bytes(stored), CURRENT)


def test_a_bomb_is_refused_by_the_size_that_it_says() -> None:
    bomb = ZstdCompressor(level=1).compress(bytes(codec.MAX_PAYLOAD_BYTES + 1))
    assert frame_content_size(bomb) > codec.MAX_PAYLOAD_BYTES
    with pytest.raises(PayloadUnreadable, match="damaged"):
        opened(bomb, CURRENT)


def test_a_bomb_that_says_it_is_small_is_refused() -> None:
    bomb = ZstdCompressor(level=1).compress(bytes(1_000_000))
    descriptor, size = bomb[4], struct.pack("<I", 1000)
    assert descriptor >> 6 == 2  # four bytes say the size
    lying = bomb[:5] + size + bomb[9:]
    with pytest.raises(PayloadUnreadable, match="damaged"):
        opened(lying, CURRENT)


def test_threads_do_not_disturb_each_other() -> None:
    rng = Random(5)  # noqa: S311
    together = threading.Barrier(4)

    def work(bodies: list[bytes]) -> bool:
        together.wait(timeout=20)
        return all(opened(*compressed(body)) == body for body in bodies)

    shares = [[unseen(rng) * 50 for _ in range(200)] for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, shares))
