"""Compressing answers for callers that accept it, without holding up the event loop."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

import zstandard
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.negotiation import qualities
from app.kit.single_flight import SingleFlight

#: Shorter answers fit into a packet or two as they are.
MIN_BYTES: Final = 1024
#: From this size on, an answer or a piece of one is compressed in a thread: shorter ones take the
#: event loop less than half a millisecond.
_THREAD_BYTES: Final = 32_768
#: How many threads compress at once, so that they leave the processor to callbacks.
_THREADS: Final = 2
#: For how long a compressed page is kept for others that get the same one: clients that wait for
#: the feed are answered one after another.
_SHARED_SECONDS: Final = 1.0
#: A shorter piece of a stream, as the first line of an export, is passed on at once; of longer ones
#: the compressor keeps a part until it has more.
_PROMPT_BYTES: Final = 4096
#: Higher levels take a multiple of the time for a tenth less.
_GZIP_LEVEL: Final = 3
_ZSTD_LEVEL: Final = 3
_GZIP_WINDOW: Final = 31  # 15 bits, with the header of gzip

_Header = tuple[bytes, bytes]
_COMPRESSIBLE: Final = (b"application/json", b"application/problem+json", b"application/x-ndjson",
                        b"text/csv", b"text/html", b"text/plain", b"text/css", b"text/javascript",
                        b"image/svg+xml")  # fmt: skip
_VARY: Final = (b"vary", b"accept-encoding")


class Coding(StrEnum):
    """The codings that answers have (RFC 9110, section 8.4.1)."""

    GZIP = "gzip"
    ZSTD = "zstd"


class _Compressor(Protocol):
    """Compresses a stream."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self, mode: int = ..., /) -> bytes: ...


_PROMPTLY: Final = {
    Coding.GZIP: zlib.Z_SYNC_FLUSH,
    Coding.ZSTD: zstandard.COMPRESSOBJ_FLUSH_BLOCK,
}


def coding_for(accept_encoding: str) -> Coding | None:
    """
    The coding of an answer to a request with that header; None for none.

    Of two that are as welcome, zstd, which takes a third of the time; but only where it is named.
    """
    accepted = qualities(accept_encoding)
    gzip = accepted.get("gzip", accepted.get("x-gzip", accepted.get("*", 0)))
    zstd = accepted.get("zstd", 0)
    best = max(gzip, zstd)
    if best == 0 or accepted.get("identity", 0) > best:
        return None
    return Coding.ZSTD if zstd == best else Coding.GZIP


class Compressed:
    """
    Compresses the answers of *app* as their callers accept it.

    A short answer, and one that is no text, is passed on. A whole answer gets the length of what is
    sent; the pieces of a stream are compressed as they come. Entity tags stay: they are weak, and
    the same for all codings.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._threads = asyncio.Semaphore(_THREADS)
        self._shared = SingleFlight(
            self._compressed, keep_seconds=_SHARED_SECONDS, is_kept=lambda _: True
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Answer(self, _coding_of(scope["headers"]), send).send)

    async def whole(self, coding: Coding, body: bytes) -> bytes:
        """*body* in *coding*; callers that have the same body share the work."""
        if len(body) < _THREAD_BYTES:
            return _whole(coding, body)
        return await self._shared.recent((coding, body))

    async def piece(self, work: Callable[[], bytes], size: int) -> bytes:
        """The result of *work* on a piece of *size* bytes."""
        if size < _THREAD_BYTES:
            return work()
        async with self._threads:
            return await asyncio.to_thread(work)

    async def _compressed(self, key: tuple[Coding, bytes]) -> bytes:
        return await self.piece(lambda: _whole(*key), len(key[1]))


class _Answer:
    """One answer: passed on, compressed as a whole, or compressed as a stream."""

    def __init__(self, compressed: Compressed, coding: Coding | None, send: Send) -> None:
        self._compressed = compressed
        self._coding = coding
        self._send = send
        #: The start of an answer whose body is collected.
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self._stream: _Compressor | None = None

    async def send(self, message: Message) -> None:
        """Send one part of the answer."""
        if message["type"] == "http.response.start":
            await self._begin({**message, "headers": [*message.get("headers", ()), _VARY]})
        elif self._start is not None:
            await self._collect(self._start, message)
        elif self._stream is not None:
            await self._go_on(self._stream, message)
        else:
            await self._send(message)

    async def _begin(self, start: Message) -> None:
        facts = _facts_of(start["headers"])
        if self._coding is None or not facts.is_compressible:
            await self._send(start)
        elif facts.length is None:
            self._stream = _compressor(self._coding)
            await self._send({**start, "headers": [*start["headers"], _encoded(self._coding)]})
        elif facts.length < MIN_BYTES:
            await self._send(start)
        else:
            self._start = start

    async def _collect(self, start: Message, message: Message) -> None:
        self._pieces.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        assert self._coding is not None  # noqa: S101 (else nothing is collected)
        pieces, self._pieces, self._start = self._pieces, [], None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        short = await self._compressed.whole(self._coding, body)
        headers = [header for header in start["headers"] if header[0] != b"content-length"]
        headers += (_encoded(self._coding), (b"content-length", b"%d" % len(short)))
        await self._send({**start, "headers": headers})
        await self._send({**message, "body": short})

    async def _go_on(self, stream: _Compressor, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        short = await self._compressed.piece(lambda: stream.compress(body), len(body))
        if not more:
            short += stream.flush()
        elif len(body) < _PROMPT_BYTES and self._coding is not None:
            short += stream.flush(_PROMPTLY[self._coding])
        if short or not more:
            await self._send({**message, "body": short})


class _Facts(NamedTuple):
    """What decides whether an answer is compressed."""

    is_compressible: bool
    #: None for a stream.
    length: int | None


def _facts_of(headers: Sequence[_Header]) -> _Facts:
    found = dict(headers)
    kind = found.get(b"content-type", b"").partition(b";")[0]
    length = found.get(b"content-length")
    return _Facts(
        kind in _COMPRESSIBLE and b"content-encoding" not in found,
        None if length is None else int(length),
    )


def _coding_of(headers: Sequence[_Header]) -> Coding | None:
    fields = [value for name, value in headers if name == b"accept-encoding"]
    return coding_for(b",".join(fields).decode("latin-1")) if fields else None


def _encoded(coding: Coding) -> _Header:
    return b"content-encoding", coding.encode()


def _whole(coding: Coding, body: bytes) -> bytes:
    if coding is Coding.ZSTD:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    return zlib.compress(body, _GZIP_LEVEL, _GZIP_WINDOW)


def _compressor(coding: Coding) -> _Compressor:
    made: Any
    if coding is Coding.ZSTD:
        made = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    else:
        made = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    compressor: _Compressor = made
    return compressor
