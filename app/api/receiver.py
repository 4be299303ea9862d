"""
The callback endpoints, as plain ASGI in front of everything else.

It is not a FastAPI route, because routing and validation there would cost more than all the rest of
a callback. It says 200 only once `Intake` says that the body is durable.
"""

import asyncio
import re
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.callback_token import CallbackTokens, Origin
from app.errors import Overloaded
from app.observability.metrics import Metrics
from app.services.intake import RETRY_AFTER_SECONDS, Intake, Receipt

log = structlog.get_logger()

PREFIX: Final = "/callbacks/"

_PATH: Final = re.compile(r"/callbacks/([^/]+)/(status|inbound)/?")
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")


class _Answer:
    """One of the few fixed answers, encoded once."""

    __slots__ = ("body", "start", "status")

    def __init__(self, status: HTTPStatus, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        length = (b"content-length", str(len(body)).encode())
        self.start = {
            "type": "http.response.start",
            "status": int(status),
            "headers": [length, *headers],
        }
        self.body = {"type": "http.response.body", "body": body}


def _problem(status: HTTPStatus, slug: str, title: str, *headers: tuple[bytes, bytes]) -> _Answer:
    body = f'{{"type":"urn:routee-receiver:problem:{slug}","title":"{title}","status":{status:d}}}'
    return _Answer(status, body.encode(), _PROBLEM, *headers)


_RECEIPTS: Final = {
    receipt: _Answer(HTTPStatus.OK, f'{{"result":"{receipt}"}}'.encode(), _JSON)
    for receipt in Receipt
}
_READY: Final = _Answer(HTTPStatus.OK, b'{"result":"ready"}', _JSON)
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

#: Up to here the time that the body took is not worth a timer of its own.
_PROMPT_SECONDS: Final = 0.1
#: How many times the allowed size is read and thrown away before a connection is cut.
_DRAINED_TIMES: Final = 16


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class _TooLarge(Exception):
    """The body is longer than allowed."""


class CallbackReceiver:
    """Answers the callback URLs itself and leaves every other path to *app*."""

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
        self._max_body_bytes = max_body_bytes
        self._ack_budget_seconds = ack_budget_seconds
        self._counts = {
            status: metrics.callbacks.labels(str(int(status)))
            for status in (
                HTTPStatus.OK,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.METHOD_NOT_ALLOWED,
                HTTPStatus.REQUEST_TIMEOUT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.SERVICE_UNAVAILABLE,
            )
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

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
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

    async def _posted(self, scope: Scope, receive: Receive, kind: str, origin: Origin) -> _Answer:
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
            body, path=f"{PREFIX}***/{kind}", campaign_id=origin.campaign_id
        )
        spent = loop.time() - started
        if spent < _PROMPT_SECONDS:
            return await _answer_to(storing)
        return await _within(storing, self._ack_budget_seconds - spent)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """
        The whole body.

        Raises:
            _TooLarge: it is longer than allowed. What came of it is thrown away, so that the client
                gets to read the answer.
            _Disconnected: the client left.
        """
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        if b"expect" in headers and declared.isdigit() and int(declared) > self._max_body_bytes:
            raise _TooLarge
        chunk, more = await _chunk(receive)
        if not more and len(chunk) <= self._max_body_bytes:
            return chunk
        chunks, size = [chunk], len(chunk)
        while more and size <= self._max_body_bytes * _DRAINED_TIMES:
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


async def _answer_to(storing: Coroutine[None, None, Receipt]) -> _Answer:
    try:
        return _RECEIPTS[await storing]
    except Overloaded:
        return _NOT_STORED
    except Exception:  # whatever it is, the callback is not durable, and Routee will repeat it
        log.exception("a callback could not be stored")
        return _NOT_STORED


async def _within(storing: Coroutine[None, None, Receipt], seconds: float) -> _Answer:
    """For a body that came slowly, so that little of the time is left."""
    task = asyncio.ensure_future(_answer_to(storing))
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return task.result() if done else _NOT_STORED
