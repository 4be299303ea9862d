"""
The callback endpoints, as plain ASGI in front of FastAPI.

FastAPI's routing and validation would cost more than everything else that happens to a callback.
The answer is 200 only once `Intake` reports that the body is durable.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine
from http import HTTPStatus
from itertools import product
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.fixed_answer import CLOSE, FixedAnswer, problem
from app.api.middleware import port_of
from app.domain.callback_token import CallbackTokens, Origin
from app.kit.log_limiter import LogLimiter
from app.kit.lru_cache import LruCache
from app.kit.tick_queue import TickQueue
from app.observability.metrics import CALLBACK_KINDS, NO_KIND, Metrics
from app.routee.content import content_of
from app.services.callbacks.buffered_intake import BufferedIntake
from app.services.callbacks.intake import RETRY_AFTER_SECONDS, Body, Intake, Receipt
from app.services.callbacks.sources import CallbackSources, Verdict

log = structlog.get_logger()

PREFIX: Final = "/callbacks/"

_PATH: Final = re.compile(r"/callbacks/([^/]+)/(status|inbound)/?")
#: The same in the bytes of a request line, without a query, an escape or a final slash.
_TARGET: Final = re.compile(rb"/callbacks/([^/?#%]+)/(status|inbound)")
_JSON: Final = (b"content-type", b"application/json")

_RECEIPTS: Final = {
    receipt: FixedAnswer(HTTPStatus.OK, f'{{"result":"{receipt}"}}'.encode(), _JSON)
    for receipt in Receipt
}
_READY: Final = FixedAnswer(HTTPStatus.OK, b'{"result":"ready"}', _JSON)
_NOT_FOUND: Final = problem(HTTPStatus.NOT_FOUND, "not-found", "Not found")
_FORBIDDEN: Final = problem(
    HTTPStatus.FORBIDDEN, "forbidden-source", "Callbacks are not taken from this address"
)
_METHOD_NOT_ALLOWED: Final = problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method-not-allowed",
    "Callbacks are posted",
    (b"allow", b"GET, HEAD, POST"),
)
_TOO_LARGE: Final = problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too-large",
    "The body is larger than allowed",
    CLOSE,
)
_TOO_SLOW: Final = problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "too-slow",
    "The body did not arrive in time",
    CLOSE,
)
#: A parser that ends a body too early would otherwise let an event be lost behind a 200.
_INCOMPLETE: Final = problem(
    HTTPStatus.BAD_REQUEST,
    "incomplete",
    "The body is not as long as announced",
    CLOSE,
)
_NOT_STORED: Final = problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not-stored",
    "The callback could not be stored in time; please repeat it",
    (b"retry-after", str(RETRY_AFTER_SECONDS).encode()),
)

#: How they are counted. That of a URL which is none is not among them.
_RESULTS: Final = {
    **{answer: receipt.value for receipt, answer in _RECEIPTS.items()},
    _READY: "ready",
    _FORBIDDEN: "forbidden-source",
    _METHOD_NOT_ALLOWED: "method-not-allowed",
    _INCOMPLETE: "incomplete",
    _TOO_SLOW: "too-slow",
    _TOO_LARGE: "too-large",
    _NOT_STORED: "not-stored",
}
_MAX_COUNTED_PER_TICK: Final = 1024

#: The path of a callback URL with its token masked, and the campaign of this token.
_Endpoint = tuple[str, UUID | None]
#: URLs with a valid token. Verifying a token takes up to 8 µs.
_MAX_CACHED_ENDPOINTS: Final = 10_000
_MASKED_PATHS: Final = {kind: f"{PREFIX}***/{kind}" for kind in CALLBACK_KINDS}
_KINDS: Final = {path: kind for kind, path in _MASKED_PATHS.items()}
#: A body that arrives within this time leaves storing the whole budget, without a timer of its own.
_PROMPT_SECONDS: Final = 0.1
#: Callback URLs that were asked with a query.
_queries: Final = LogLimiter()
#: How many times the allowed size is read and dropped before a connection is cut.
_MAX_DRAINED_TIMES: Final = 16


class _Disconnected(Exception):
    """The client closed the connection before its request was complete."""


class _TooLarge(Exception):
    """The body is longer than allowed."""


class _Incomplete(Exception):
    """The body is not the one that was announced."""


class CallbackReceiver:
    """Answers the callback URLs and leaves every other path to *app*."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        app: ASGIApp,
        *,
        intake: Intake | BufferedIntake,
        tokens: CallbackTokens,
        metrics: Metrics,
        max_body_bytes: int,
        ack_budget_seconds: float,
        sources: CallbackSources | None = None,
        ports_of_others: Collection[int | None] = (),
    ) -> None:
        #: From where callbacks are taken; None: from everywhere.
        self.sources = sources
        self._app = app
        self._ports_of_others = ports_of_others
        self._intake = intake
        self._tokens = tokens
        self._metrics = metrics
        #: Keyed by the request target. Each process hashes with a key of its own, so the time that
        #: a lookup takes does not reveal how much of a token is right.
        self._endpoints: LruCache[bytes, _Endpoint] = LruCache(_MAX_CACHED_ENDPOINTS)
        self._max_body_bytes = max_body_bytes
        self._ack_budget_seconds = ack_budget_seconds
        self._counters = {
            (kind, answer): metrics.callbacks.labels(kind, result)
            for kind, (answer, result) in product(CALLBACK_KINDS, _RESULTS.items())
        }
        self._not_found = metrics.callbacks.labels(*NO_KIND)
        #: Counted together once in a tick: one by one they would cost more than their answers.
        self._answered = TickQueue[tuple[Counter, float | None]](
            metrics.note_answers, max_items=_MAX_COUNTED_PER_TICK
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        is_callback = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        if not is_callback or not self.is_at(scope.get("server")):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except _Disconnected:
            return
        await send(answer.start)
        await send(answer.body)

    def is_at(self, server: tuple[str, int | None] | None) -> bool:
        """Whether callbacks are taken at the socket with the address *server*."""
        return port_of(server) not in self._ports_of_others

    def accept(self, target: bytes, body: bytes, done: Callable[[FixedAnswer], object]) -> bool:
        """
        Accept a POST of *body* to *target* and call *done* with the answer later.

        Returns:
            False if the request needs the full treatment by ASGI; nothing has been done then.
        """
        endpoint = self._endpoints.find(target) or self._find_endpoint(target)
        if endpoint is None or not 0 < len(body) <= self._max_body_bytes:
            return False

        came_at = monotonic()
        path, campaign_id = endpoint

        def _report(outcome: Receipt | BaseException) -> None:
            answer = _answer_of(outcome)
            self._answered.put((self._counters[_KINDS[path], answer], monotonic() - came_at))
            done(answer)

        self._intake.put(Body(body, path, campaign_id), _report)
        return True

    def _find_endpoint(self, target: bytes) -> _Endpoint | None:
        match = _TARGET.fullmatch(target)
        origin = self._tokens.find_origin(match[1].decode("latin-1")) if match else None
        if match is None or origin is None:
            return None
        endpoint = _MASKED_PATHS[match[2].decode()], origin.campaign_id
        self._endpoints.put(target, endpoint)
        return endpoint

    async def _answer(self, scope: Scope, receive: Receive) -> FixedAnswer:
        match = _PATH.fullmatch(scope["path"])
        if match and self.sources is not None and (refusal := _refusal(self.sources, scope)):
            self._answered.put((self._counters[match[2], refusal], None))
            return refusal
        origin = self._tokens.find_origin(match[1]) if match else None
        if match is None or origin is None:
            self._answered.put((self._not_found, None))
            return _NOT_FOUND
        method, kind, taken = scope["method"], match[2], None
        if method in ("GET", "HEAD"):
            answer = self._asked(scope)
        elif method != "POST":
            answer = _METHOD_NOT_ALLOWED
        else:
            answer, taken = await self._posted(scope, receive, kind, origin)
        self._answered.put((self._counters[kind, answer], taken))
        return answer

    def _asked(self, scope: Scope) -> FixedAnswer:
        """The answer to GET: a query may be a callback in another form, which is not stored."""
        if not scope["query_string"]:
            return _READY
        if times := _queries.due():
            log.warning(
                "a callback URL was asked with a query, which is not stored: callbacks are posted",
                times=times,
            )
        return _METHOD_NOT_ALLOWED

    async def _posted(
        self, scope: Scope, receive: Receive, kind: str, origin: Origin
    ) -> tuple[FixedAnswer, float | None]:
        """The answer, with the seconds that it took after the body was whole, if it became so."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._ack_budget_seconds):
                body = await self._body(scope, receive)
        except _TooLarge:
            return _TOO_LARGE, None
        except _Incomplete:
            return _INCOMPLETE, None
        except TimeoutError:
            return _TOO_SLOW, None
        came_at = loop.time()
        content = content_of(scope["headers"])
        storing = self._intake.receive(
            body,
            path=_MASKED_PATHS[kind],
            campaign_id=origin.campaign_id,
            content=None if content.is_usual else content,
        )
        spent = came_at - started
        if spent < _PROMPT_SECONDS:
            answer = await _answer_to(storing)
        else:
            answer = await _within(storing, self._ack_budget_seconds - spent)
        return answer, loop.time() - came_at

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """
        The whole body.

        Raises:
            _TooLarge: it is longer than allowed. It is read and dropped up to a limit, so that the
                client gets to read the answer.
            _Incomplete: it is not as long as announced.
            _Disconnected: the client closed the connection.
        """
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        length = int(declared) if declared.isdigit() else None
        if length is not None and length > self._max_body_bytes and b"expect" in headers:
            raise _TooLarge
        body = await self._read(receive)
        is_chunked = length is None and b"transfer-encoding" in headers
        if (length is not None and len(body) != length) or (is_chunked and not body):
            raise _Incomplete
        return body

    async def _read(self, receive: Receive) -> bytes:
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


def _refusal(sources: CallbackSources, scope: Scope) -> FixedAnswer | None:
    """What is answered to a request because of where it comes from, with whatever token."""
    verdict = sources.verdict((scope["client"] or ("",))[0], scope["headers"])
    if verdict is Verdict.ALLOWED:
        return None
    return _FORBIDDEN if verdict is Verdict.REFUSED else _NOT_STORED


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Disconnected
    return message.get("body", b""), message.get("more_body", False)


async def _answer_to(storing: Coroutine[None, None, Receipt]) -> FixedAnswer:
    try:
        return _answer_of(await storing)
    except Exception as error:  # noqa: BLE001 (the intake has logged it)
        return _answer_of(error)


def _answer_of(outcome: Receipt | BaseException) -> FixedAnswer:
    """With any error the callback is not durable, and Routee will repeat it."""
    return _NOT_STORED if isinstance(outcome, BaseException) else _RECEIPTS[outcome]


async def _within(storing: Coroutine[None, None, Receipt], seconds: float) -> FixedAnswer:
    """The answer of *storing*, for a body that has used up much of the budget by arriving."""
    task = asyncio.ensure_future(_answer_to(storing))
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return task.result() if done else _NOT_STORED
