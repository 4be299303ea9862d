"""
The fast protocol: callbacks go from the connection to the receiver without ASGI.

A callback is small: one read from the connection nearly always gives its whole request. Such a
request goes to the receiver at once and needs no ASGI task, scope or events, which otherwise are
more than half of what a request costs the server. Every other request goes through ASGI, where
`CallbackReceiver` gives the same answers.
"""

import asyncio
from typing import Any, Final

from app.api.fixed_answer import FixedAnswer
from app.api.http_protocol import FRAMING_PER_BYTE, MAX_HEAD_BYTES, HttpProtocol
from app.api.receiver import PREFIX, CallbackReceiver
from app.routee.content import content_of
from app.services.callbacks.sources import CallbackSources, Verdict

_PREFIX: Final = PREFIX.encode()


class _NoEvent:
    """Replaces the event with which uvicorn wakes the task of a request. Here is no task."""

    def set(self) -> None:
        """Do nothing."""


class _Exchange:
    """
    A request that the receiver has accepted, in place of uvicorn's `RequestResponseCycle`.

    Because of it uvicorn queues pipelined requests behind this one, and on shutdown waits for the
    answer.
    """

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.message_event = _NoEvent()
        self.begin()

    def begin(self) -> None:
        self.response_complete = False
        self.keep_alive = True
        self.disconnected = False


class CallbackProtocol(HttpProtocol):
    """The HTTP protocol with a fast path for callbacks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(*args, **kwargs)
        app = self.config.loaded_app
        self._receiver = app if isinstance(app, CallbackReceiver) else None
        #: Whether a request is buffered here until its body is complete.
        self._is_buffering = False
        self._buffered_body = b""
        self._exchange = _Exchange()
        #: Since when the connection has been idle; None while it is not.
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; at the port of something else callbacks are no matter of the receiver."""
        super().connection_made(transport)
        if self._receiver is not None and not self._receiver.is_at(self.server):
            self._receiver = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of an idle connection."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse *data*; without the whole request in it, the request goes through ASGI."""
        self._idle_since = None
        super().data_received(data)
        if self._is_buffering and not self.transport.is_closing():
            self._hand_over()

    def on_message_begin(self) -> None:
        """Begin a request without an ASGI scope."""
        self._in_head = True
        self.has_content_headers = False
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def begin_request(self) -> None:
        """Decide whether to buffer the request."""
        if self._is_simple_callback():
            self._is_buffering, self._buffered_body = True, b""
        else:
            self._begin_asgi()

    def on_body(self, body: bytes) -> None:
        """Buffer a part of the body, or pass it on."""
        if self._is_buffering:
            self._allowance += FRAMING_PER_BYTE * len(body)
            self._buffered_body += body
        else:
            super().on_body(body)

    def is_answered(self) -> bool:
        """Whether the answer to the request whose body is arriving has begun."""
        return not self._is_buffering and super().is_answered()

    def on_message_complete(self) -> None:
        """Give a buffered request to the receiver; if it does not accept it, to ASGI."""
        if self._is_buffering:
            if self._accept():
                self._is_buffering = False
                self._in_body = False
                self._allowance = MAX_HEAD_BYTES
                return
            self._hand_over()
        super().on_message_complete()

    def _is_simple_callback(self) -> bool:
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
            and not self.is_ending()
            and not (self.has_content_headers and not content_of(self.headers).is_usual)
            and (self._receiver.sources is None or self._comes_from(self._receiver.sources))
        )

    def _comes_from(self, sources: CallbackSources) -> bool:
        """Whether the request may pass; a refusal is left to ASGI."""
        peer = self.client[0] if self.client else ""
        return sources.verdict(peer, self.headers) is Verdict.ALLOWED

    def _accept(self) -> bool:
        if self._receiver is None:
            return False
        cycle, exchange = self.cycle, self._exchange
        exchange.begin()
        self.cycle = exchange  # type: ignore[assignment]
        if self._receiver.accept(self.url, self._buffered_body, self._answer):
            return True
        # The exchange may be that of the last request, which is answered.
        exchange.response_complete = True
        self.cycle = cycle
        return False

    def _hand_over(self) -> None:
        """Pass the buffered request on to ASGI."""
        self._is_buffering = False
        self._begin_asgi()
        if self._buffered_body:
            super().on_body(self._buffered_body)

    def _begin_asgi(self) -> None:
        url, expected, headers = self.url, self.expect_100_continue, self.headers
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers.extend(headers)
        # The head of this request is whole, and its body may not be.
        self._in_head = False
        super().begin_request()

    def _answer(self, answer: FixedAnswer) -> None:
        exchange = self._exchange
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        headers = self.server_state.default_headers
        self.transport.write(answer.encoded(headers, keep_alive=exchange.keep_alive))
        if not exchange.keep_alive:
            self.transport.close()
        self._finish_exchange()

    def _finish_exchange(self) -> None:
        """Do what uvicorn does after an answer."""
        if self.pipeline or self.is_refusing() or self.transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        # Setting and cancelling a timer for each request takes 2 µs. So there is one timer, which
        # checks for how long the connection has been idle.
        self._idle_since = self.rested_at = self.loop.time()
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
