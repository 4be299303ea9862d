"""
The callback endpoints, as plain ASGI in front of FastAPI.

FastAPI's routing and validation would cost more than everything else that happens to a callback.
The answer is 200 only once `Intake` reports that the body is durable.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.callback_token import CallbackTokens, Origin
from app.kit.lru_cache import LruCache
from app.observability.metrics import Metrics
from app.services.callbacks.intake import RETRY_AFTER_SECONDS, Body, Intake, Receipt

PREFIX: Final = "/callbacks/"

Headers = list[tuple[bytes, bytes]]

_PATH: Final = re.compile(r"/callbacks/([^/]+)/(status|inbound)/?")
#: The same in the bytes of a request line, without a query, an escape or a final slash.
_TARGET: Final = re.compile(rb"/callbacks/([^/?#%]+)/(status|inbound)")
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")


class Answer:
    """One of the few fixed answers, encoded once."""

    __slots__ = ("_encoded", "_encoded_for", "body", "start", "status")

    def __init__(self, status: HTTPStatus, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        length = (b"content-length", str(len(body)).encode())
        self.start: dict[str, Any] = {
            "type": "http.response.start",
            "status": int(status),
            "headers": [length, *headers],
        }
        self.body: dict[str, Any] = {"type": "http.response.body", "body": body}
        self._encoded: dict[bool, bytes] = {}
        self._encoded_for: Headers | None = None

    def encoded(self, more_headers: Headers, *, keep_alive: bool) -> bytes:
        """The answer as HTTP/1.1. It is kept until another list of *more_headers* is given."""
        if more_headers is not self._encoded_for:
            self._encoded_for = more_headers
            self._encoded = {
                True: self._written(more_headers),
                False: self._written([*more_headers, (b"connection", b"close")]),
            }
        return self._encoded[keep_alive]

    def _written(self, more_headers: Headers) -> bytes:
        status_line = f"HTTP/1.1 {self.status:d} {self.status.phrase}\r\n".encode()
        headers = [*more_headers, *self.start["headers"]]
        lines = [b"%b: %b\r\n" % header for header in headers]
        return b"".join([status_line, *lines, b"\r\n", self.body["body"]])


def _problem(status: HTTPStatus, slug: str, title: str, *headers: tuple[bytes, bytes]) -> Answer:
    body = f'{{"type":"urn:routee-receiver:problem:{slug}","title":"{title}","status":{status:d}}}'
    return Answer(status, body.encode(), _PROBLEM, *headers)


_RECEIPTS: Final = {
    receipt: Answer(HTTPStatus.OK, f'{{"result":"{receipt}"}}'.encode(), _JSON)
    for receipt in Receipt
}
_READY: Final = Answer(HTTPStatus.OK, b'{"result":"ready"}', _JSON)
_NOT_FOUND: Final = _problem(HTTPStatus.NOT_FOUND, "not-found", "Not found")
_METHOD_NOT_ALLOWED: Final = _problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method-not-allowed",
    "Callbacks are posted",
    (b"allow", b"GET, HEAD, POST"),
)
_TOO_LARGE: Final = _problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too-large",
    "The body is larger than allowed",
    (b"connection", b"close"),
)
_TOO_SLOW: Final = _problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "too-slow",
    "The body did not arrive in time",
    (b"connection", b"close"),
)

_NOT_STORED: Final = _problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not-stored",
    "The callback could not be stored in time; please repeat it",
    (b"retry-after", str(RETRY_AFTER_SECONDS).encode()),
)

_REFUSALS: Final = (_NOT_FOUND, _METHOD_NOT_ALLOWED, _TOO_SLOW, _TOO_LARGE, _NOT_STORED)

#: The path of a callback URL with its token masked, and the campaign of this token.
_Endpoint = tuple[str, UUID | None]
#: URLs with a valid token. Verifying a token takes up to 8 µs.
_MAX_CACHED_ENDPOINTS: Final = 10_000
_MASKED_PATHS: Final = {kind: f"{PREFIX}***/{kind}" for kind in ("status", "inbound")}
#: A body that arrives within this time leaves storing the whole budget, without a timer of its own.
_PROMPT_SECONDS: Final = 0.1
#: How many times the allowed size is read and dropped before a connection is cut.
_MAX_DRAINED_TIMES: Final = 16


class _Disconnected(Exception):
    """The client closed the connection before its request was complete."""


class _TooLarge(Exception):
    """The body is longer than allowed."""


class CallbackReceiver:
    """Answers the callback URLs and leaves every other path to *app*."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        app: ASGIApp,
        *,
        intake: Intake,
        tokens: CallbackTokens,
        metrics: Metrics,
        max_body_bytes: int,
        ack_budget_seconds: float,
    ) -> None:
        self._app = app
        self._intake = intake
        self._tokens = tokens
        self._metrics = metrics
        #: Keyed by the request target. Each process hashes with a key of its own, so the time that
        #: a lookup takes does not reveal how much of a token is right.
        self._endpoints: LruCache[bytes, _Endpoint] = LruCache(_MAX_CACHED_ENDPOINTS)
        self._max_body_bytes = max_body_bytes
        self._ack_budget_seconds = ack_budget_seconds
        self._counts = {
            answer.status: metrics.callbacks.labels(str(int(answer.status)))
            for answer in (_READY, *_REFUSALS)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except _Disconnected:
            return
        self._counts[answer.status].inc()
        await send(answer.start)
        await send(answer.body)

    def accept(self, target: bytes, body: bytes, done: Callable[[Answer], object]) -> bool:
        """
        Accept a POST of *body* to *target* and call *done* with the answer later.

        Returns:
            False if the request needs the full treatment by ASGI; nothing has been done then.
        """
        endpoint = self._endpoints.find(target) or self._find_endpoint(target)
        if endpoint is None or len(body) > self._max_body_bytes:
            return False

        def _report(outcome: Receipt | BaseException) -> None:
            answer = _answer_of(outcome)
            self._counts[answer.status].inc()
            done(answer)

        self._intake.put(Body(body, *endpoint), _report)
        return True

    def _find_endpoint(self, target: bytes) -> _Endpoint | None:
        match = _TARGET.fullmatch(target)
        origin = self._tokens.find_origin(match[1].decode("latin-1")) if match else None
        if match is None or origin is None:
            return None
        endpoint = _MASKED_PATHS[match[2].decode()], origin.campaign_id
        self._endpoints.put(target, endpoint)
        return endpoint

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        match = _PATH.fullmatch(scope["path"])
        origin = self._tokens.find_origin(match[1]) if match else None
        if match is None or origin is None:
            return _NOT_FOUND
        method = scope["method"]
        if method in ("GET", "HEAD"):
            return _READY
        if method != "POST":
            return _METHOD_NOT_ALLOWED
        return await self._posted(scope, receive, match[2], origin)

    async def _posted(self, scope: Scope, receive: Receive, kind: str, origin: Origin) -> Answer:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._ack_budget_seconds):
                body = await self._body(scope, receive)
        except _TooLarge:
            return _TOO_LARGE
        except TimeoutError:
            return _TOO_SLOW
        storing = self._intake.receive(
            body, path=_MASKED_PATHS[kind], campaign_id=origin.campaign_id
        )
        spent = loop.time() - started
        if spent < _PROMPT_SECONDS:
            return await _answer_to(storing)
        return await _within(storing, self._ack_budget_seconds - spent)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """
        The whole body.

        Raises:
            _TooLarge: it is longer than allowed. It is read and dropped up to a limit, so that the
                client gets to read the answer.
            _Disconnected: the client closed the connection.
        """
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        if b"expect" in headers and declared.isdigit() and int(declared) > self._max_body_bytes:
            raise _TooLarge
        chunk, more = await _chunk(receive)
        if not more and len(chunk) <= self._max_body_bytes:
            return chunk
        chunks, size = [chunk], len(chunk)
        while more and size <= self._max_body_bytes * _MAX_DRAINED_TIMES:
            chunk, more = await _chunk(receive)
            size += len(chunk)
            if size <= self._max_body_bytes:
                chunks.append(chunk)
        if size > self._max_body_bytes:
            raise _TooLarge
        return b"".join(chunks)


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Disconnected
    return message.get("body", b""), message.get("more_body", False)


async def _answer_to(storing: Coroutine[None, None, Receipt]) -> Answer:
    try:
        return _answer_of(await storing)
    except Exception as error:  # noqa: BLE001 (the intake has logged it)
        return _answer_of(error)


def _answer_of(outcome: Receipt | BaseException) -> Answer:
    """With any error the callback is not durable, and Routee will repeat it."""
    return _NOT_STORED if isinstance(outcome, BaseException) else _RECEIPTS[outcome]


async def _within(storing: Coroutine[None, None, Receipt], seconds: float) -> Answer:
    """The answer of *storing*, for a body that has used up much of the budget by arriving."""
    task = asyncio.ensure_future(_answer_to(storing))
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return task.result() if done else _NOT_STORED
