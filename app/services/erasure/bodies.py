"""
What a body may say: in which charsets, and under which compressions, an erasure searches it.

Bodies are read here that the callback path cannot read, so nothing is known of them.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from app.domain.erasure import readings_of, unescaped
from app.domain.quarantine import Reason
from app.kit.decompression import DecompressedTooLarge, NotDecompressible, gunzipped, inflated

#: No body is opened further: a flush waits for it. Bodies have a quarter of that when they arrive.
MAX_OPENED_BYTES: Final = 4 * 1024 * 1024
#: A compressed body can be compressed again, as by a proxy.
_MAX_LAYERS: Final = 3
#: How gzip, zlib and zstandard begin. A deflate stream without a header begins with anything.
_COMPRESSED: Final = (
    b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x28\xb5\x2f\xfd"
)  # fmt: skip
#: Reasons of bodies whose headers said that they are compressed, and of what this service has.
_SAID_TO_BE_COMPRESSED: Final = frozenset(
    {
        Reason.UNKNOWN_ENCODING,
        Reason.NOT_DECOMPRESSIBLE,
        Reason.DECOMPRESSED_TOO_LARGE,
        Reason.DAMAGED_BUFFER_MESSAGE,
    }
)
#: Charsets whose digits are not those of ASCII.
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
#: The Greek ones with one octet for each character. They differ from ASCII in no digit, but in what
#: separates digits.
_NARROW: Final = ("cp1253", "iso-8859-7")


class OtherReadings(NamedTuple):
    """What a body may say."""

    texts: list[str]
    #: Whether it is compressed and cannot be opened, so that its content is unknown.
    is_sealed: bool


def other_readings_of(body: bytes, reason: str = "") -> OtherReadings:
    """
    *body* in all other ways than `readings_of` gives, in which a number could be read.

    An ordinary body has none. *reason* is why it was quarantined.
    """
    layers = _opened(body)
    known, texts = set(readings_of(body)), list[str]()
    for octets in (body, *layers):
        for text in _decoded(octets):
            texts += [one for one in (text, unescaped(text)) if one not in known]
            known.update(texts)
    last = layers[-1] if layers else body
    is_compressed = last.startswith(_COMPRESSED) or (
        not layers and reason in _SAID_TO_BE_COMPRESSED
    )
    return OtherReadings(texts, is_compressed and not _is_utf8(last))


def _opened(body: bytes) -> list[bytes]:
    """What is in a compressed *body*, layer by layer."""
    layers: list[bytes] = []
    while len(layers) < _MAX_LAYERS and (inner := _opened_once(body)) is not None:
        layers.append(inner)
        body = inner
    return layers


def _opened_once(body: bytes) -> bytes | None:
    for opened in (gunzipped, inflated):
        try:
            return opened(body, max_bytes=MAX_OPENED_BYTES)
        except (NotDecompressible, DecompressedTooLarge):
            continue
    return None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(octets: bytes) -> Iterator[str]:
    yield octets.decode(errors="surrogateescape")
    if b"\0" in octets or octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield from (octets.decode(charset, errors="replace") for charset in _WIDE)
    if not octets.isascii():
        yield from (octets.decode(charset, errors="replace") for charset in _NARROW)
