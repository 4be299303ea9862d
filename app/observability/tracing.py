"""
Traces by OpenTelemetry: what a request came to, from the API to its SQL and to Routee.

OpenTelemetry's SDK comes with the extra `tracing` and is imported only when traces are on. While
they are off nothing here does anything. Attributes have no values: no numbers, tokens or names, SQL
without literals, and of URLs the route.
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from http import HTTPStatus
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind

_PACKAGE: Final = "routee-receiver"
_SDK: Final = "opentelemetry.exporter.otlp.proto.http"
_MISSING: Final = "RECEIVER_TRACES_URL needs OpenTelemetry: pip install 'routee-receiver[tracing]'"
#: What OTLP over HTTP appends to the address of a collector.
_TRACES_PATH: Final = "/v1/traces"
#: A flush names so many of the requests that it stored. OpenTelemetry keeps 128 links of a span.
MAX_LINKS: Final = 100
#: Longer SQL is cut.
_MAX_SQL_CHARACTERS: Final = 2048
#: The driver reports a statement some time after its end, which may be that of its span too.
_LATE_NS: Final = 5_000_000_000
#: For what waits to be sent when the process ends.
_CLOSE_SECONDS: Final = 2.0

_API: Final = "/v1/"
_CALLBACKS: Final = "/callbacks/"
_CALLBACK_PATH: Final = re.compile(r"/callbacks/[^/]+/(status|inbound)/?")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")

#: Takes the status of an answer.
OnStatus = Callable[[int], None]
_NOTHING: Final = nullcontext()
_NOT_TRACED: Final[AbstractContextManager[OnStatus]] = nullcontext(lambda _: None)


class Tracing:
    """The traces of a process, which go to the collector at *url*."""

    def __init__(self, url: str) -> None:
        """
        Begin to send them, each few seconds, from a thread.

        Raises:
            ConfigurationError: the extra `tracing` is not installed.
        """
        require_extra(url)
        from opentelemetry import propagate, trace  # noqa: PLC0415 (an extra)
        from opentelemetry.context import Context  # noqa: PLC0415

        self._trace, self._extract, self._nothing = trace, propagate.extract, Context()
        self._provider = _provider_to(url)
        self._tracer = self._provider.get_tracer(_PACKAGE)
        #: Of the requests whose bodies wait for a flush, by the identity of what waits.
        self._waiting: dict[int, Span] = {}

    async def aclose(self) -> None:
        """Send what is left; a collector that does not answer is not waited for."""
        global _tracing  # noqa: PLW0603 (see `start`)
        if _tracing is self:
            _tracing = None
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def _close() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(closed.set)

        # A daemon, so that the program can end while the thread waits for a collector that hangs.
        threading.Thread(target=_close, name="end of traces", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await closed.wait()

    @contextmanager
    def span(
        self,
        name: str,
        kind: "SpanKind",
        attributes: Mapping[str, str | int],
        context: "Context | None" = None,
        waiting: Collection["Span"] = (),
    ) -> Iterator["Span"]:
        """
        A span of the block, of which what happens in the block is a part.

        An error that leaves the block is noted by its class: its text may quote values.
        """
        links = [self._trace.Link(one.get_span_context()) for one in waiting]
        with self._tracer.start_as_current_span(
            name,
            context,
            kind=kind,
            attributes=attributes,
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                self.note_error(span, type(error).__name__)
                raise

    def note_error(self, span: "Span", kind: str) -> None:
        """Note that *span* has failed by *kind*."""
        span.set_attribute("error.type", kind)
        span.set_status(self._trace.StatusCode.ERROR)

    def server_span(self, scope: Scope, *, is_callback: bool) -> AbstractContextManager["Span"]:
        """A span of the request of *scope*; only a caller of the API may give it a parent."""
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes: dict[str, str | int] = {"http.request.method": method}
        name = method
        if is_callback and (match := _CALLBACK_PATH.fullmatch(scope["path"])):
            route = attributes["http.route"] = f"{_CALLBACKS}{{token}}/{match[1]}"
            name = f"{method} {route}"
        given = {} if is_callback else scope["headers"]
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in given}
        # Without a parent, not even that of another request of the same connection.
        context = self._extract(carrier, context=self._nothing)
        return self.span(name, self._trace.SpanKind.SERVER, attributes, context)

    @contextmanager
    def asking(self, operation: str, method: str, host: str) -> Iterator[OnStatus]:
        """A span of one request to Routee; yields what takes the status of the answer."""
        attributes = {"http.request.method": method, "server.address": host}
        with self.span(f"Routee {operation}", self._trace.SpanKind.CLIENT, attributes) as span:

            def _answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= HTTPStatus.BAD_REQUEST:
                    self.note_error(span, str(status))

            yield _answered

    def work(
        self, name: str, attributes: Mapping[str, str | int]
    ) -> AbstractContextManager["Span"]:
        """A span of work in this process."""
        return self.span(name, self._trace.SpanKind.INTERNAL, attributes)

    def current(self) -> "Span | None":
        """The span of what happens, if it is sampled."""
        span = self._trace.get_current_span()
        return span if span.get_span_context().trace_flags.sampled else None

    @contextmanager
    def waiting(self, item: object) -> Iterator[None]:
        """Have the flush that gets *item* know the current span, until the block ends."""
        span = self.current()
        if span is None:
            yield
            return
        self._waiting[id(item)] = span
        try:
            yield
        finally:
            self._waiting.pop(id(item), None)

    @contextmanager
    def flush(self, name: str, items: Sequence[object]) -> Iterator[None]:
        """
        A span of the flush of *items*, in the trace of the first sampled request among them.

        It links to the others, up to a bound, and each sampled request links to it.
        """
        waiting = [span for item in items if (span := self._waiting.get(id(item))) is not None]
        if not waiting:
            # No parent: the task of the flush has the context of whichever request began it.
            with self._trace.use_span(self._trace.INVALID_SPAN):
                yield
            return
        context = self._trace.set_span_in_context(waiting[0], self._nothing)
        attributes = {"routee_receiver.bodies": len(items)}
        with self.span(
            name, self._trace.SpanKind.INTERNAL, attributes, context, waiting[1 : MAX_LINKS + 1]
        ) as flush:
            for one in waiting[1:]:
                one.add_link(flush.get_span_context())
            yield

    def note_statement(
        self, sql: str, *, began_ns: int, ended_ns: int, error: BaseException | None
    ) -> None:
        """Note a statement that has ended, as a part of the current span; without one, do not."""
        span = self.current()
        if span is None or not sql.strip("; \n"):
            return
        # A task that outlives the request which began it has the span of this request for ever.
        ended = getattr(span, "end_time", None)
        if ended is not None and began_ns > ended + _LATE_NS:
            return
        text = _LITERAL.sub("'?'", sql).strip()
        words = text.split(maxsplit=1)
        statement = self._tracer.start_span(
            words[0].upper().strip(";"),
            kind=self._trace.SpanKind.CLIENT,
            attributes={
                "db.system.name": "postgresql",
                "db.query.text": text[:_MAX_SQL_CHARACTERS],
            },
            start_time=began_ns,
        )
        if error is not None:
            self.note_error(statement, getattr(error, "sqlstate", None) or type(error).__name__)
        statement.end(ended_ns)


_tracing: Tracing | None = None


def start(url: str) -> Tracing | None:
    """
    Trace this process from now on; without a *url* trace nothing.

    It has to be called before connections are made, which are watched from their beginning.

    Raises:
        ConfigurationError: the extra `tracing` is not installed.
    """
    global _tracing  # noqa: PLW0603 (there is one for each process, as with logs)
    _tracing = Tracing(url) if url else None
    return _tracing


def require_extra(url: str) -> None:
    """
    Check that traces can be sent to *url*; nothing is imported.

    Raises:
        ConfigurationError: the extra `tracing` is not installed.
    """
    try:
        is_there = not url or find_spec(_SDK) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise ConfigurationError(_MISSING)


def waiting(item: object) -> AbstractContextManager[None]:
    """See `Tracing.waiting`."""
    return _NOTHING if _tracing is None else _tracing.waiting(item)


def flush(name: str, items: Sequence[object]) -> AbstractContextManager[None]:
    """See `Tracing.flush`."""
    return _NOTHING if _tracing is None else _tracing.flush(name, items)


def work(name: str, **attributes: str) -> AbstractContextManager[object]:
    """A span of the block's work."""
    return _NOTHING if _tracing is None else _tracing.work(name, attributes)


def asking(operation: str, method: str, host: str) -> AbstractContextManager[OnStatus]:
    """A span of one request to Routee; yields what takes the status of the answer."""
    return _NOT_TRACED if _tracing is None else _tracing.asking(operation, method, host)


def watch_connection(connection: Any) -> None:  # noqa: ANN401 (one of asyncpg, which only db knows)
    """Note the statements of *connection* that are not prepared before."""
    if (tracing := _tracing) is None:
        return

    # The driver calls it in the context of the statement, one tick after its end.
    def _note(query: Any) -> None:  # noqa: ANN401
        ended_ns = time.time_ns()
        began_ns = ended_ns - int(query.elapsed * 1e9)
        tracing.note_statement(
            query.query, began_ns=began_ns, ended_ns=ended_ns, error=query.exception
        )

    connection.add_query_logger(_note)


def noting_statements() -> Callable[[str, int, BaseException | None], None] | None:
    """
    A function that takes a statement that has ended, when it began, and its error; None without
    traces.

    When it began is in nanoseconds of `time.time_ns`.
    """
    if (tracing := _tracing) is None:
        return None
    return lambda sql, began_ns, error: tracing.note_statement(
        sql, began_ns=began_ns, ended_ns=time.time_ns(), error=error
    )


class Traced:
    """Traces the callbacks and the API calls of *app*, and closes *tracing* with it."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._closing_before(send))
            return
        is_callback = scope["path"].startswith(_CALLBACKS)
        if not is_callback and not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        with self._tracing.server_span(scope, is_callback=is_callback) as span:

            async def _send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        self._tracing.note_error(span, str(status))
                await send(message)

            await self._app(scope, receive, _send)

    def _closing_before(self, send: Send) -> Send:
        async def _send(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await self._tracing.aclose()
            await send(message)

        return _send


class Routed:
    """Names the spans of API calls by the routes of *app*, which are known behind it only."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        span = self._tracing.current()
        try:
            await self._app(scope, receive, send)
        finally:
            if span is not None and (route := getattr(scope.get("route"), "path", None)):
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)


def _provider_to(url: str) -> "TracerProvider":
    """What sends traces to *url*; `OTEL_…` variables say the rest."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 (an extra)
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource({"service.name": _PACKAGE, "service.version": version(_PACKAGE)})
    provider = TracerProvider(
        resource=resource.merge(OTELResourceDetector().detect()),
        shutdown_on_exit=False,  # it would wait for a collector that hangs
    )
    path = "" if urlsplit(url).path.endswith(_TRACES_PATH) else _TRACES_PATH
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url + path)))
    return provider
