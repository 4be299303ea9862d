"""
The bodies of requests to the API: who may send one, how large, how slow, and in which encoding.

A body is read here for all routes, once the key has been verified. Without a valid key nothing of
it is read, and outside of `/v1/` there is no body at all.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.parts import verified_key
from app.api.problems import problem_of
from app.errors import BodyEncoded, BodyTooLarge, BodyTooSlow
from app.services.keyring import Keyring

#: Enough for a thousand recipients and the longest text, or for a thousand ids.
MAX_BODY_BYTES: Final = 1_048_576
#: For the whole body, from the first byte on.
MAX_BODY_SECONDS: Final = 10.0
#: How much of a body that is not wanted, and for how long, is read and dropped after the answer. A
#: connection that is closed while its client still writes may cost that client the answer.
_DROPPED_BYTES: Final = MAX_BODY_BYTES
_DROPPING_SECONDS: Final = 1.0

_WITH_KEY: Final = "/v1/"
_ANNOUNCE: Final = frozenset({b"content-length", b"transfer-encoding"})
_IDENTITY: Final = frozenset({"", "identity"})


class RequestBodies:
    """
    Reads the bodies of requests for *app*, which gets each of them whole or not at all.

    The connection of a request whose body is not wanted ends with the answer. A request to a
    port that does not serve its path gets 404 without a key.
    """

    def __init__(
        self,
        app: ASGIApp,
        keyring: Keyring,
        *,
        is_served: Callable[[Scope], bool] = lambda _: True,
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._is_served = is_served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)
        answering = _Answering(send, body)
        try:
            if scope["path"].startswith(_WITH_KEY) and self._is_served(scope):
                headers = Headers(scope=scope)
                await verified_key(headers, self._keyring)
                await body.read(headers)
        except _Disconnected:
            return
        except Exception as error:  # noqa: BLE001 (answered as the API's exception handlers do)
            await problem_of(error)(scope, receive, answering.send)
            return
        await self._app(scope, body.receive, answering.send)


class _Disconnected(Exception):
    """The client closed the connection before its body was complete."""


class _Body:
    """The body of one request: empty until it is read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._octets: bytes | None = b""
        #: Whether nothing of it is left to be read.
        self.is_complete = False

    async def read(self, headers: Headers) -> None:
        """
        Read all of it.

        Raises:
            BodyEncoded: it is compressed.
            BodyTooLarge: it is longer than allowed.
            BodyTooSlow: it did not arrive in time.
            _Disconnected: the client closed the connection.
        """
        if not _IDENTITY.issuperset(_codings(headers)):
            raise BodyEncoded("Send the body without a `Content-Encoding`.")
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        try:
            async with asyncio.timeout(MAX_BODY_SECONDS):
                self._octets = await self._all()
        except TimeoutError:
            raise BodyTooSlow(
                f"The whole body must arrive within {MAX_BODY_SECONDS:g} seconds."
            ) from None

    async def receive(self) -> Message:
        """The whole body at the first call, then what the server reports: the end of the client."""
        if self._octets is None:
            return await self._receive()
        octets, self._octets = self._octets, None
        return {"type": "http.request", "body": octets, "more_body": False}

    async def drop(self) -> None:
        """Read and drop what is left of it, up to a limit."""
        dropped = 0
        with suppress(TimeoutError, _Disconnected):
            async with asyncio.timeout(_DROPPING_SECONDS):
                while not self.is_complete and dropped < _DROPPED_BYTES:
                    dropped += len(await self._chunk())

    async def _all(self) -> bytes:
        octets = bytearray()
        while not self.is_complete:
            octets += await self._chunk()
            if len(octets) > MAX_BODY_BYTES:
                raise _too_large()
        return bytes(octets)

    async def _chunk(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        self.is_complete = not message.get("more_body", False)
        octets: bytes = message.get("body", b"")
        return octets


class _Answering:
    """Passes an answer on, and ends the connection if the body has not been read until then."""

    def __init__(self, send: Send, body: _Body) -> None:
        self._send = send
        self._body = body
        self._is_closing = False

    async def send(self, message: Message) -> None:
        """Send one part of the answer."""
        if message["type"] == "http.response.start" and not self._body.is_complete:
            self._is_closing = True
            headers = [*message.get("headers", ()), (b"connection", b"close")]
            message = {**message, "headers": headers}
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (self._is_closing and is_last):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._body.drop()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request with *headers* announces a body (RFC 9112, section 6.3)."""
    return any(name in _ANNOUNCE and value.strip() != b"0" for name, value in headers)


def _codings(headers: Headers) -> Iterable[str]:
    fields = ",".join(headers.getlist("content-encoding"))
    return (coding.strip().lower() for coding in fields.split(","))


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"A body may have at most {MAX_BODY_BYTES} bytes.")
