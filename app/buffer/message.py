"""
The only file that knows how a batch of request bodies is written as one message.

A message is four bytes (two of a mark, the version of the format, how the content is encoded), the
SHA-256 of the content as it is written, and the content: MessagePack, compressed with zstandard if
that is smaller. A later version can read all earlier ones: `work` is updated before `serve`.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import zstandard

#: The content of a message, before it is compressed, and a single body with what is kept of it.
#: With its head it stays below the 1 MiB that a NATS server takes by default.
MAX_CONTENT_BYTES: Final = 960 * 1024

_MARK: Final = b"RR"
_VERSION: Final = 1
_PLAIN, _ZSTANDARD = 0, 1
_HEAD_BYTES: Final = 4
_DIGEST_BYTES: Final = 32
#: Above what MessagePack adds to the texts and octets of a body: lengths, and the campaign's id.
_BODY_OVERHEAD_BYTES: Final = 64
_COMPRESSION_LEVEL: Final = 1


class BufferedBody(NamedTuple):
    """The body of one request, as it is buffered."""

    octets: bytes
    #: The path that it was posted to, without the token.
    path: str
    #: The campaign whose token it came through; None for a shared callback secret.
    campaign_id: UUID | None
    #: The headers `Content-Type` and `Content-Encoding`; None if they say what is usual.
    content: tuple[str, str] | None


class BufferedBatch(NamedTuple):
    """What one message holds."""

    bodies: Sequence[BufferedBody]
    received_at: datetime


class MessageDamaged(ValueError):
    """A message is not one of ours, or not what was written."""


#: The time in seconds, and the bodies.
_Content = tuple[float, list[tuple[bytes, str, UUID | None, tuple[str, str] | None]]]
_decoder: Final = msgspec.msgpack.Decoder(_Content)


def size_of(body: BufferedBody) -> int:
    """How many bytes of a message's content *body* takes at most."""
    texts = (body.path, *(body.content or ()))
    return len(body.octets) + _BODY_OVERHEAD_BYTES + sum(len(text.encode()) for text in texts)


def encoded(batch: BufferedBatch) -> bytes:
    """*batch*, whose bodies have `MAX_CONTENT_BYTES` together at most, as one message."""
    content = msgspec.msgpack.encode((batch.received_at.timestamp(), batch.bodies))
    encoding = _PLAIN
    compressed = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(content)
    if len(compressed) < len(content):
        content, encoding = compressed, _ZSTANDARD
    head = _MARK + bytes((_VERSION, encoding))
    return head + hashlib.sha256(head + content).digest() + content


def decoded(message: bytes) -> BufferedBatch:
    """
    What *message* holds.

    Raises:
        MessageDamaged: its head, its digest or its content is not what `encoded` writes.
    """
    head, content = message[:_HEAD_BYTES], message[_HEAD_BYTES + _DIGEST_BYTES :]
    digest = message[_HEAD_BYTES : _HEAD_BYTES + _DIGEST_BYTES]
    if head[:-1] != _MARK + bytes((_VERSION,)):
        raise MessageDamaged("the head is not that of a buffered batch of this version")
    if hashlib.sha256(head + content).digest() != digest:
        raise MessageDamaged("the digest is not that of the content")
    try:
        if head[-1] == _ZSTANDARD:
            content = _decompressed(content)
        seconds, bodies = _decoder.decode(content)
        received_at = datetime.fromtimestamp(seconds, UTC)
    except (zstandard.ZstdError, msgspec.DecodeError, ValueError, OverflowError, OSError) as error:
        raise MessageDamaged(str(error)) from error
    return BufferedBatch([BufferedBody(*body) for body in bodies], received_at)


def _decompressed(content: bytes) -> bytes:
    if not 0 <= zstandard.frame_content_size(content) <= MAX_CONTENT_BYTES:
        raise MessageDamaged("the content is larger than a message may hold")
    return zstandard.ZstdDecompressor().decompress(content)
