"""What the headers of a callback say about how its bytes are to be read."""

import re
from typing import Final, NamedTuple

from app.domain.quarantine import Reason
from app.kit.decompression import (
    DecompressedTooLarge,
    NotDecompressible,
    gunzipped,
    inflated,
)
from app.routee.wire import Unreadable

MAX_HEADER_CHARACTERS: Final = 200
#: Encodings may be stacked; no known sender stacks more.
_MAX_ENCODINGS: Final = 3
_OPENERS: Final = {
    "gzip": gunzipped,
    "x-gzip": gunzipped,
    "deflate": inflated,
}
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class Content(NamedTuple):
    """The headers that matter, at most 200 characters of each."""

    #: `Content-Type`.
    type: str = ""
    #: `Content-Encoding`.
    encoding: str = ""

    @property
    def charset(self) -> str | None:
        """The declared charset if it is another one than UTF-8."""
        match = _CHARSET.search(self.type)
        charset = match[1].lower() if match else "utf-8"
        return None if charset in _UTF8 else charset

    @property
    def encodings(self) -> list[str]:
        """The encodings in the order in which they were applied."""
        named = (name.strip().lower() for name in self.encoding.split(","))
        return [name for name in named if name not in ("", "identity")]

    @property
    def is_usual(self) -> bool:
        """Whether the bytes are UTF-8 and not encoded, or nothing is said of it."""
        return self.charset is None and not self.encodings


def content_of(headers: list[tuple[bytes, bytes]]) -> Content:
    """The content headers among the *headers* of a request, whose names are in lower case."""
    found = {b"content-type": "", b"content-encoding": ""}
    for name, value in headers:
        if name in found:
            separator = ", " if found[name] else ""
            found[name] += separator + value.decode("latin-1")
    return Content(*(text[:MAX_HEADER_CHARACTERS] for text in found.values()))


def opened(octets: bytes, content: Content, *, max_bytes: int) -> bytes:
    """
    *octets* without the encodings that *content* names.

    Raises:
        Unreadable: an encoding is unknown, the bytes are not encoded so, or what they open to is
            larger than *max_bytes*.
    """
    encodings = content.encodings
    if len(encodings) > _MAX_ENCODINGS or not _OPENERS.keys() >= set(encodings):
        raise Unreadable(Reason.UNKNOWN_ENCODING)
    try:
        for encoding in reversed(encodings):
            octets = _OPENERS[encoding](octets, max_bytes=max_bytes)
    except NotDecompressible:
        raise Unreadable(Reason.NOT_DECOMPRESSIBLE) from None
    except DecompressedTooLarge:
        raise Unreadable(Reason.DECOMPRESSED_TOO_LARGE) from None
    return octets
