import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.decompression import DecompressedTooLarge, NotDecompressible, gunzipped, inflated


def raw_deflated(contents: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(contents) + packer.flush()


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_all_members_of_a_gzip_file_are_opened(members: list[bytes]) -> None:
    octets = b"".join(map(gzip.compress, members)) + b"\0\0"
    contents = b"".join(members)
    assert gunzipped(octets, max_bytes=len(contents)) == contents


@given(st.binary(max_size=500))
def test_a_stream_is_opened_with_and_without_its_header(contents: bytes) -> None:
    for octets in (zlib.compress(contents), raw_deflated(contents)):
        assert inflated(octets, max_bytes=len(contents)) == contents


@pytest.mark.parametrize("opener", [gunzipped, inflated])
def test_more_than_allowed_is_not_opened(opener) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    pack = gzip.compress if opener is gunzipped else zlib.compress
    bomb = pack(bytes(50_000_000))
    with pytest.raises(DecompressedTooLarge):
        opener(bomb, max_bytes=1000)
    assert opener(pack(bytes(1000)), max_bytes=1000) == bytes(1000)
    with pytest.raises(DecompressedTooLarge):
        opener(pack(bytes(1001)), max_bytes=1000)


def test_many_members_together_are_limited_too() -> None:
    with pytest.raises(DecompressedTooLarge):
        gunzipped(gzip.compress(b"x" * 400) * 3, max_bytes=1000)


@pytest.mark.parametrize("at", range(0, 30, 3))
def test_what_ends_too_early_or_is_something_else_is_refused(at: int) -> None:
    contents = b'{"trackingId":"a"}'
    for octets, opener in (
        (gzip.compress(contents)[:at], gunzipped),
        (gzip.compress(contents) + b"x", gunzipped),
        (zlib.compress(contents)[: min(at, 20)], inflated),
        (zlib.compress(contents) + b"x", inflated),
        (contents, gunzipped),
        (contents, inflated),
        (b"", gunzipped),
    ):
        with pytest.raises(NotDecompressible):
            opener(octets, max_bytes=1000)
