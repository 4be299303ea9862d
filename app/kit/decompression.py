"""Opening compressed bytes within bounds."""

import zlib
from typing import Final

#: Of zlib's window argument: a gzip header, a zlib header, none.
_GZIP: Final = 31
_ZLIB: Final = 15
_RAW: Final = -15


class NotDecompressible(ValueError):
    """The bytes are not what they are said to be, or end too early."""


class DecompressedTooLarge(ValueError):
    """What the bytes open to is larger than allowed."""


def gunzipped(octets: bytes, *, max_bytes: int) -> bytes:
    """
    The contents of a gzip file, of all its members.

    Raises:
        NotDecompressible: it is no whole gzip file.
        DecompressedTooLarge: the contents are larger than *max_bytes*; no more than that is opened.
    """
    contents, rest = _opened(octets, _GZIP, max_bytes)
    while rest.strip(b"\0"):  # zeros may pad it
        more, rest = _opened(rest, _GZIP, max_bytes - len(contents))
        contents += more
    return contents


def inflated(octets: bytes, *, max_bytes: int) -> bytes:
    """
    The contents of a deflate stream, with the header of zlib or, as some send it, without.

    Raises:
        NotDecompressible: it is no whole stream.
        DecompressedTooLarge: the contents are larger than *max_bytes*; no more than that is opened.
    """
    try:
        contents, rest = _opened(octets, _ZLIB, max_bytes)
    except NotDecompressible:
        contents, rest = _opened(octets, _RAW, max_bytes)
    if rest:
        raise NotDecompressible("something follows the stream")
    return contents


def _opened(octets: bytes, window: int, max_bytes: int) -> tuple[bytes, bytes]:
    """The contents of one stream, and what follows it."""
    opener = zlib.decompressobj(window)
    try:
        # 0 would mean no limit; one byte more than allowed shows whether there are more.
        contents = opener.decompress(octets, max_bytes + 1)
    except zlib.error as error:
        raise NotDecompressible(str(error)) from None
    if len(contents) > max_bytes:
        raise DecompressedTooLarge(f"more than {max_bytes} bytes")
    if not opener.eof:
        raise NotDecompressible("it ends too early")
    return contents, opener.unused_data
