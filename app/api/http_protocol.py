"""
uvicorn's HTTP protocol with what it lacks: limits, and no ear for offers of other protocols.

Every request passes here first, so nothing that a caller without a key sends may cost much before
the head of its request is whole.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.fixed_answer import CLOSE, FixedAnswer, problem
from app.kit.connections import ConnectionLimit
from app.kit.log_limiter import LogLimiter

log = structlog.get_logger()

#: A larger head is refused. It also limits what frames the chunks of a body.
MAX_HEAD_BYTES: Final = 64 * 1024
#: A head that is not whole by then is refused; without a byte of it, the connection is closed.
HEAD_SECONDS: Final = 10.0
#: How long, and up to how much, what a client goes on to send is dropped after a refusal.
LINGER_SECONDS: Final = 2.0
MAX_DROPPED_BYTES: Final = 16 * 1024 * 1024
#: A chunk of one byte comes with five more, "1\r\n" before and "\r\n" after it.
FRAMING_PER_BYTE: Final = 8

#: The name of the `Ending` among what the application shares with its connections.
ENDING: Final = "ending"

#: Headers that are looked at as they come.
_NOTED: Final = frozenset((b"content-encoding", b"content-type", b"expect"))

_MALFORMED: Final = problem(HTTPStatus.BAD_REQUEST, "malformed", "This is no HTTP request", CLOSE)
_HEAD_TOO_LARGE: Final = problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head-too-large",
    "The head of the request is larger than 64 KiB",
    CLOSE,
)
_HEAD_TOO_SLOW: Final = problem(
    HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The head of the request did not arrive in time", CLOSE
)
_NO_TUNNEL: Final = problem(
    HTTPStatus.NOT_IMPLEMENTED, "no-tunnel", "This server opens no tunnels", CLOSE
)

_FLOOD_HINT: Final = "a flood of connections, or a limit of open files (ulimit -n) that is too low"
_floods: Final = LogLimiter()


class _HeadTooLarge(Exception):
    """Stops the parser at the end of the head."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 (uvicorn's own)
        limit: ConnectionLimit | None = None,
        head_seconds: float = HEAD_SECONDS,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.ws_protocol_class = None
        self._limit = limit
        #: When the connection was made, or its last request was answered; in seconds of the loop.
        self.rested_at = 0.0
        self._head_seconds = head_seconds
        #: How many bytes may still come before the head is whole, or the body goes on.
        self._allowance = MAX_HEAD_BYTES
        #: Whether a head has begun and is not whole.
        self._in_head = False
        #: Whether the head of the current request is whole, and its body is not.
        self._in_body = False
        #: Whether headers of the current request may say that its body is not simply UTF-8.
        self.has_content_headers = False
        #: Whether the current request offers another protocol, at which the parser stops.
        self._has_offer = False
        #: The last answer of this connection, once it is decided.
        self._refusal: FixedAnswer | None = None
        #: Ends a connection whose head does not become whole.
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.rested_at = self.loop.time()
        if self._limit is not None and not self._has_room(self._limit):
            transport.abort()
            return
        self._set_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_head_timer()
        if self._limit is not None:
            self._limit.closed(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse *data*."""
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._allowance -= len(data)
        if self._refusal is not None:
            if self._allowance < -MAX_DROPPED_BYTES:
                self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._read_without_offer(data[offer.args[0] :])
            return
        except httptools.HttpParserError as error:
            log.debug("a request is not HTTP", error=str(error))
            is_large = isinstance(error.__context__, _HeadTooLarge)
            self._refuse(_HEAD_TOO_LARGE if is_large else _MALFORMED)
            return
        is_usual = self._allowance == MAX_HEAD_BYTES and not self._in_head
        if not is_usual or self._head_timer is not None:
            self._watch_head()

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            self.expect_100_continue |= value.lower() == b"100-continue"
        elif name == b"content-encoding" or b"harset" in value.lower():
            self.has_content_headers = True

    def _watch_head(self) -> None:
        """Limit the size and the time of a head, and of what frames a body."""
        if self._allowance < 0:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._is_between_requests() or (self._in_body and not self.is_answered()):
            self._stop_head_timer()
        elif self._head_timer is None:
            self._set_head_timer()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self.has_content_headers = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Trailers are dropped: they could contradict the head."""
        if self._in_body:
            return
        name = name.lower()
        if name in _NOTED:
            self._note(name, value)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin the request, unless it is refused or has to be read again."""
        if self._allowance < 0 and self._head_bytes() > MAX_HEAD_BYTES:
            raise _HeadTooLarge
        if self.parser.should_upgrade():
            self._has_offer = True
            return
        self._in_head = False
        self._allowance = MAX_HEAD_BYTES
        self.begin_request()
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._allowance += FRAMING_PER_BYTE * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._has_offer:
            return
        self._allowance = MAX_HEAD_BYTES
        self._in_body = False
        super().on_message_complete()

    def begin_request(self) -> None:
        """Handle a whole head; in a process that is ending, its answer is the connection's last."""
        super().on_headers_complete()
        if self.is_ending():
            cycle: Any = self.cycle
            cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Go on with the next request, or send the refusal that had to wait for its turn."""
        if self._refusal is not None and not self.pipeline and not self.transport.is_closing():
            self._send_refusal(self._refusal)
        if not self.pipeline:
            self.rested_at = self.loop.time()
            if self._in_body and self._head_timer is None:
                self._set_head_timer()  # for the rest of a body that is not read
        super().on_response_complete()

    @property
    def is_idle(self) -> bool:
        """Whether no request waits for its answer. A head that is not whole is no request."""
        cycle: Any = self.cycle
        return not self.pipeline and (cycle is None or cycle.response_complete)

    def is_ending(self) -> bool:
        """Whether this process was asked to end, so that clients had better go to another one."""
        ending = self.app_state.get(ENDING)
        return ending is not None and ending.has_begun

    def is_refusing(self) -> bool:
        """Whether this connection answers nothing more than what was asked before."""
        return self._refusal is not None

    def is_answered(self) -> bool:
        """Whether the answer to the request whose body is arriving has begun."""
        cycle: Any = self.cycle
        return cycle is not None and cycle.response_started

    def _is_between_requests(self) -> bool:
        is_within = self._in_head or self._in_body
        return not is_within and self._allowance == MAX_HEAD_BYTES

    def _has_room(self, limit: ConnectionLimit) -> bool:
        has_room = limit.opened(self)
        if limit.is_full and (times := _floods.due()):
            log.warning(
                "connections are closed for new ones",
                most=limit.most,
                times=times,
                hint=_FLOOD_HINT,
            )
        return has_room

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _read_without_offer(self, rest: bytes) -> None:
        """
        Read the request again as if it offered no other protocol, as RFC 9110 (7.8) allows.

        The parser has stopped behind the head, so it is written anew without the header `Upgrade`
        for another parser.
        """
        self._has_offer = False
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(_NO_TUNNEL)
            return
        request_line = b"%b %b HTTP/%b" % (
            method,
            self.url,
            self.parser.get_http_version().encode(),
        )
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        head = b"\r\n".join([request_line, *headers, b"", b""])
        # The head has been counted already.
        self._allowance = MAX_HEAD_BYTES + len(head)
        self.data_received(head + rest)

    def _is_answering(self) -> bool:
        """Whether an earlier request than the one that is being parsed waits for its answer."""
        cycle: Any = self.cycle
        return not self._in_body and cycle is not None and not cycle.response_complete

    def _refuse(self, refusal: FixedAnswer) -> None:
        """Answer nothing more than *refusal*, in its turn, and close the connection."""
        self._refusal = refusal
        self._stop_head_timer()
        if self._in_body and self.pipeline:
            self.pipeline.popleft()  # the refused request is the last of those that wait
        elif self._in_body and self.is_answered():
            self.transport.close()
        elif not self._is_answering():
            self._send_refusal(refusal)

    def _send_refusal(self, refusal: FixedAnswer) -> None:
        headers = self.server_state.default_headers
        self.transport.write(refusal.encoded(headers, keep_alive=False))
        # Closing while the client still sends would make its system drop the answer.
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _set_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._head_seconds, self._end_slow_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_slow_head(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._is_between_requests():  # nothing has come
            self.transport.close()
        else:
            self._refuse(_HEAD_TOO_SLOW)
