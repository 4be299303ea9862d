"""Middleware: which port serves what, the undecoded path, HEAD, and no storing in caches."""

import re
from time import monotonic
from typing import Final
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_of
from app.errors import NotFound
from app.observability.metrics import Metrics

log = structlog.get_logger()

_API: Final = "/v1/"
#: Below these the routes decode the segments of their paths themselves.
_UNDECODED: Final = (_API, "/ui/")
_REQUEST_ID: Final = b"x-request-id"
#: No longer than ids are, and without what means something in URLs, logs or HTML.
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
_OPERATIONS: Final = frozenset({"/livez", "/readyz", "/metrics", "/docs", "/openapi.json"})
_CACHE_CONTROL: Final = b"cache-control"
_NOT_STORED: Final = b"no-store"


def port_of(server: tuple[str, int | None] | None) -> int | None:
    """The port of the socket *server*, not the one that a client names in `Host`."""
    return None if server is None else server[1]


class RawPath:
    """
    Passes the undecoded path of API calls, and of pages, to *app*.

    Servers decode paths, which makes `a%2Fb` and `a/b` the same. The routes decode their ids
    themselves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "http" and scope["path"].startswith(_UNDECODED):
            raw: bytes = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": raw.partition(b"?")[0].decode("latin-1")}
        await self._app(scope, receive, send)


class RequestIds:
    """
    Gives each request of *app* an id, for its log lines, its problems and the answer.

    That of the client is taken if it is short and harmless. Callbacks do not come here: theirs are
    answered before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _REQUEST_ID), b"")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex.encode()

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_REQUEST_ID, request_id)]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id.decode()):
            await self._app(scope, receive, _send)


class HangUps:
    """Ends a request whose client has hung up with one line of debug instead of a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            log.debug("a client has hung up within its request", method=scope["method"])


class HeadRequests:
    """
    Answers HEAD with what *app* answers to GET, without the body.

    An answer that is sent in pieces ends with its headers, and with it the work for it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                # The server then informs the application that its client is gone.
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET"}, receive, _send)


class NoStore:
    """
    Forbids caches to store the answers of *app* to API calls, unless an answer says otherwise.

    The answers contain telephone numbers and the texts of people.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if not any(name == _CACHE_CONTROL for name, _ in headers):
                    message["headers"] = [*headers, (_CACHE_CONTROL, _NOT_STORED)]
            await send(message)

        await self._app(scope, receive, _send)


class Counted:
    """Counts the requests to the API by their routes, and measures until their answers begin."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        started = monotonic()

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Only a path of a route is a label: there are endlessly many others.
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if route != "none" else "any"
                metrics, status = self._metrics, str(message["status"])
                metrics.api_requests.labels(method, route, status).inc()
                metrics.api_seconds.labels(method, route).observe(monotonic() - started)
            await send(message)

        await self._app(scope, receive, _send)


class Ports:
    """
    Serves the operations of *app* at *operations_port* alone, and its other calls at *api_port*.

    Without an *api_port* these calls are served at all ports but that of the operations. Without an
    *operations_port* the operations are served with them if *has_operations*, else nowhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        operations_port: int | None,
        has_operations: bool,
        api_port: int | None = None,
    ) -> None:
        self._app = app
        self._operations_port = operations_port
        self._api_port = api_port
        self._has_operations = has_operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "http" and not self.serves(scope):
            await problem_of(NotFound())(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def serves(self, scope: Scope) -> bool:
        """Whether the path of *scope* is served at the port that it came to."""
        port = port_of(scope.get("server"))
        if scope["path"] in _OPERATIONS:
            if self._operations_port is not None:
                return port == self._operations_port
            if not self._has_operations:
                return False
        if self._api_port is not None:
            return port == self._api_port
        return self._operations_port is None or port != self._operations_port
