"""
A sender that does not wait for answers before it goes on, as Routee does not.

`python -m tests.bench.open_loop PORT PATH RATE SECONDS MARK` posts callbacks at that rate, whatever
becomes of them, each over one of 8192 connections as soon as one is idle: twice as many as the
service lets wait. The time of a request
runs from when it is sent, as Routee's does; how late this sender was, which shares the cores with
what it measures, is reported beside it. It prints an `Outcome` as one line of JSON.
"""

import asyncio
import json
import re
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from statistics import quantiles
from typing import Final, NamedTuple, cast

import uvloop

from app.sandbox.processes import HOST
from tests.bench.callbacks import Callbacks
from tests.promises.load import PATIENCE_SECONDS
from tests.promises.stage import eventually

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_CONNECTIONS: Final = 8192
_CONNECTED_AT_ONCE: Final = 64
_TICK_SECONDS: Final = 0.001
#: For what this sender has not sent yet when its time is up, and for what is under way.
_GRACE_SECONDS: Final = 20 + PATIENCE_SECONDS

_Clock = Callable[[], float]


class _Request(NamedTuple):
    due: float
    content: bytes


@dataclass
class Outcome:
    """What became of all requests."""

    due: int = 0
    distinct: int = 0
    #: Answered 200 or 503 before Routee hangs up; the rest of these are faults.
    in_time: int = 0
    late: int = 0
    lost: int = 0
    unanswered: int = 0
    other_statuses: int = 0
    #: Answers 200, in time or not, and 503.
    stored: int = 0
    refused: int = 0
    connections: int = 0
    #: The longest that a request waited for the sender itself.
    sender_delay_ms: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    slowest_ms: float = 0.0


@dataclass
class _Crowd:
    """All connections, those that are idle, and what waits for one of them."""

    port: int
    outcome: Outcome
    clock: _Clock
    idle: deque["_Connection"] = field(default_factory=deque)
    waiting: deque[_Request] = field(default_factory=deque)
    #: Of each answer.
    seconds: list[float] = field(default_factory=list)

    def post(self, request: _Request) -> None:
        if self.idle:
            self.idle.pop().send(request)
        else:
            self.waiting.append(request)

    async def connect(self) -> None:
        self.outcome.connections += 1
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: _Connection(self), HOST, self.port)
        except OSError:
            self.outcome.connections -= 1

    def is_free(self, connection: "_Connection") -> None:
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.idle.append(connection)

    def is_answered(self, status: int, sent_at: float) -> None:
        seconds = self.clock() - sent_at
        self.seconds.append(seconds)
        self.outcome.stored += status == 200
        self.outcome.refused += status == 503
        if status not in (200, 503):
            self.outcome.other_statuses += 1
        elif seconds < PATIENCE_SECONDS:
            self.outcome.in_time += 1
        else:
            self.outcome.late += 1


class _Connection(asyncio.Protocol):
    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._request: _Request | None = None
        self._sent_at = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by descent
        self._crowd.is_free(self)

    def send(self, request: _Request) -> None:
        assert self._transport is not None
        self._request = request
        outcome, self._sent_at = self._crowd.outcome, self._crowd.clock()
        outcome.sender_delay_ms = max(outcome.sender_delay_ms, 1000 * (self._sent_at - request.due))
        self._transport.write(request.content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        length = _LENGTH.search(self._received) if end >= 0 else None
        if length is None or len(self._received) < end + 4 + int(length[1]):
            return
        status = int(self._received[9:12])
        self._request, self._received = None, b""
        self._crowd.is_answered(status, self._sent_at)
        self._crowd.is_free(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.outcome.connections -= 1
        if self._request is not None:
            self._crowd.outcome.lost += 1
        elif self in self._crowd.idle:
            self._crowd.idle.remove(self)


def _requests(path: str, callbacks: Callbacks, items: int) -> list[bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length:"
    )
    return [f"{head} {len(body)}\r\n\r\n".encode() + body for body in islice(callbacks, items)]


async def _connect(crowd: _Crowd) -> None:
    for _ in range(_CONNECTIONS // _CONNECTED_AT_ONCE):
        await asyncio.gather(*(crowd.connect() for _ in range(_CONNECTED_AT_ONCE)))


async def _post_all(crowd: _Crowd, contents: list[bytes], rate: float) -> None:
    started, sent = crowd.clock(), 0
    while sent < len(contents):
        until = min(len(contents), int((crowd.clock() - started) * rate) + 1)
        for at in range(sent, until):
            crowd.post(_Request(started + at / rate, contents[at]))
        sent = until
        await asyncio.sleep(_TICK_SECONDS)


async def _ended(crowd: _Crowd) -> None:
    async def _is_complete() -> bool:
        return len(crowd.seconds) + crowd.outcome.lost == crowd.outcome.due

    with suppress(TimeoutError):
        await eventually(_is_complete, within_seconds=_GRACE_SECONDS)
    crowd.outcome.unanswered = crowd.outcome.due - len(crowd.seconds) - crowd.outcome.lost


def _tell_times(crowd: _Crowd) -> None:
    if len(crowd.seconds) > 1:
        hundredths = quantiles(crowd.seconds, n=100)
        crowd.outcome.p50_ms, crowd.outcome.p99_ms = 1000 * hundredths[49], 1000 * hundredths[98]
        crowd.outcome.slowest_ms = 1000 * max(crowd.seconds)


async def _run(port: int, path: str, rate: float, seconds: float, mark: str) -> Outcome:
    callbacks = Callbacks(mark)
    contents = _requests(path, callbacks, int(rate * seconds))
    outcome = Outcome(due=len(contents), distinct=callbacks.distinct)
    crowd = _Crowd(port, outcome, asyncio.get_running_loop().time)
    await _connect(crowd)
    await _post_all(crowd, contents, rate)
    await _ended(crowd)
    _tell_times(crowd)
    return outcome


if __name__ == "__main__":
    _port, _path, _rate, _seconds, _mark = sys.argv[1:]
    _outcome = uvloop.run(_run(int(_port), _path, float(_rate), float(_seconds), _mark))
    sys.stdout.write(json.dumps(asdict(_outcome)))
