"""
The shortest way from a connection to the intake, and back.

A callback is small: nearly always its whole request is in what one read from the connection gives.
Such a one is handed to the receiver at once, and needs no ASGI task, scope or events: that is more
than half of what a request costs the server otherwise. Whatever is not as simple goes the usual way
through ASGI, where `CallbackReceiver` gives the same answers.
"""

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.receiver import PREFIX, Answer, CallbackReceiver

if TYPE_CHECKING:
    import asyncio

_PREFIX: Final = PREFIX.encode()


class _Unset:
    """Stands where a cycle of uvicorn has the event that wakes its task. Here is no task."""

    def set(self) -> None:
        """Nobody waits."""


class _Exchange:
    """
    A request that the receiver has taken, in the place of uvicorn's own request and answer.

    With it in its place uvicorn queues requests that are sent ahead behind it, and at its shutdown
    waits for the answer.
    """

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.message_event = _Unset()
        self.begin()

    def begin(self) -> None:
        self.response_complete = False
        self.keep_alive = True
        self.disconnected = False


class CallbackProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with a short cut for callbacks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(*args, **kwargs)
        app = self.config.loaded_app
        self._receiver = app if isinstance(app, CallbackReceiver) else None
        #: Whether the headers of a request were kept back until its body is known.
        self._is_held = False
        self._held_body = b""
        self._exchange = _Exchange()
        #: Since when the connection has had nothing to do; None while it has.
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What one read from the connection gave."""
        self._idle_since = None
        super().data_received(data)
        if self._is_held and not self.transport.is_closing():  # the body is not all there yet
            self._let_go()

    def on_message_begin(self) -> None:
        """A request begins. The scope that ASGI needs is made when it is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """All headers of a request are there."""
        if self._may_be_taken():
            self._is_held, self._held_body = True, b""
        else:
            self._begin_asgi()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        if self._is_held:
            self._held_body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All of a request is there."""
        if not self._is_held:
            super().on_message_complete()
            return
        if self._is_taken():
            self._is_held = False
            return
        self._let_go()
        super().on_message_complete()

    def _may_be_taken(self) -> bool:
        cycle: Any = self.cycle
        return (
            self._receiver is not None
            and self.url.startswith(_PREFIX)
            and (cycle is None or cycle.response_complete)
            and not self.expect_100_continue
            and not self.pipeline
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    def _is_taken(self) -> bool:
        if self._receiver is None:
            return False
        cycle, exchange = self.cycle, self._exchange
        exchange.begin()
        self.cycle = exchange  # type: ignore[assignment]
        if self._receiver.take(self.url, self._held_body, self._answer):
            return True
        self.cycle = cycle
        return False

    def _let_go(self) -> None:
        """Leave the request that is held to uvicorn."""
        self._is_held = False
        self._begin_asgi()
        if self._held_body:
            super().on_body(self._held_body)

    def _begin_asgi(self) -> None:
        url, expected, headers = self.url, self.expect_100_continue, self.headers
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers.extend(headers)
        super().on_headers_complete()

    def _answer(self, answer: Answer) -> None:
        exchange = self._exchange
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        headers = self.server_state.default_headers
        self.transport.write(answer.encoded(headers, keep_alive=exchange.keep_alive))
        if not exchange.keep_alive:
            self.transport.close()
        self._go_on()

    def _go_on(self) -> None:
        """What uvicorn does after an answer."""
        if self.pipeline or self.transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        # A timer is not set and cancelled for each request, which takes 2 µs: there is one, and
        # when it rings it is looked for how long the connection has been idle.
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._set_idle_timer(self.timeout_keep_alive)

    def _set_idle_timer(self, seconds: float) -> None:
        self._idle_timer = self.loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None or self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._set_idle_timer(left)
        else:
            self.transport.close()
