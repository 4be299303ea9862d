"""
The process that posts callbacks as Routee does, and keeps the ledger.

`python -m app.sandbox.drill.sender` reads lines of JSON: first the `Orders`, then what to do next,
`{"burst": stream, "items": n}` or `{"finish": true}`; it ends when its input ends. It writes its
`Tally` as a line of JSON twice a second.
"""

import asyncio
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import uvloop

from app.sandbox.callback_poster import ATTEMPT_LIMIT_SECONDS, REPEAT_AFTER_SECONDS
from app.sandbox.drill.callbacks import SentCallback, Stream
from app.sandbox.drill.ledger import (
    BARE,
    NO_ANSWER,
    QUARANTINED,
    UNREADABLE_ANSWER,
    Head,
    LedgerFile,
)
from app.sandbox.http_connection import HttpConnection
from app.sandbox.postings import PostingQueue
from app.sandbox.processes import HOST

#: For the shortened schedule of repeats: 0.3 s, 0.6, 1.2, 3, and 5 from then on.
_TIME_SCALE: Final = 0.01
_LONGEST_WAIT_SECONDS: Final = 5.0
#: One that is too large is given up then.
_TOO_LARGE_REPEATS: Final = 2
_DOUBLED_WITHIN_SECONDS: Final = 0.5
_TICK_SECONDS: Final = 0.005
_TALLY_SECONDS: Final = 0.5
_SYNC_SECONDS: Final = 0.2
#: So many callbacks may wait for a connection; the rate is not reached then.
_MAX_READY_ITEMS: Final = 512
_BURST_CONNECTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class Orders:
    """What the sender has to do."""

    ledger: str
    #: Where replicas of the service listen; a load balancer would choose among them.
    ports: Sequence[int]
    token: str
    head: Head
    callbacks_per_second: float
    connections: int

    def as_json(self) -> str:
        """One line of JSON."""
        seed, start, inbound_url = self.head
        return json.dumps(asdict(self) | {"head": [seed, start.isoformat(), inbound_url]})


@dataclass(slots=True)
class Tally:
    """How many so far."""

    #: Distinct callbacks, and of these those that were acknowledged.
    sent: int = 0
    acknowledged: int = 0
    #: Requests, and of these those that were answered with another status than 200, or not at all.
    requests: int = 0
    refused: int = 0
    unanswered: int = 0
    #: Callbacks that wait for a repetition, or are on their way.
    pending: int = 0
    #: Whether nothing is sent any more and nothing is pending.
    is_settled: bool = False


@dataclass(slots=True)
class _Posting:
    """One callback that is being posted."""

    callback: SentCallback
    attempts: int = 0
    is_double: bool = False


class Sender:
    """Posts the callbacks of all streams until it is cancelled."""

    def __init__(self, orders: Orders, ledger: LedgerFile) -> None:
        self.tally = Tally()
        self._orders = orders
        self._ledger = ledger
        self._sources = {stream: orders.head.callbacks(stream) for stream in Stream}
        self._waiting = PostingQueue[_Posting]()
        self._ready = asyncio.Queue[_Posting](maxsize=_MAX_READY_ITEMS)
        self._is_finishing = False
        self._group = asyncio.TaskGroup()
        # For when something is repeated, not for what.
        self._rng = Random(orders.head.seed)  # noqa: S311 (no secret)

    async def run(self) -> None:
        """Post until the task is cancelled."""
        async with self._group as group:
            group.create_task(self._hand_out_new())
            group.create_task(self._hand_out_waiting())
            group.create_task(self._sync())
            for _ in range(self._orders.connections):
                group.create_task(self._work())

    def burst(self, stream: Stream, items: int) -> None:
        """Post so many callbacks of *stream* at once, beside the others."""
        postings = iter([self._begun(one) for one in islice(self._sources[stream], items)])
        for _ in range(min(items, _BURST_CONNECTIONS)):
            self._group.create_task(self._post_all(postings))

    def finish(self) -> None:
        """Send nothing new; repeat what is not acknowledged."""
        self._is_finishing = True

    async def _hand_out_new(self) -> None:
        clock = asyncio.get_running_loop().time
        last, due = clock(), 0.0
        while not self._is_finishing:
            await asyncio.sleep(_TICK_SECONDS)
            now = clock()
            due = min(
                due + (now - last) * self._orders.callbacks_per_second,
                self._orders.callbacks_per_second,
            )
            last = now
            for callback in islice(self._sources[Stream.CAMPAIGNS], int(due)):
                await self._ready.put(self._begun(callback))
            due -= int(due)

    def _begun(self, callback: SentCallback) -> _Posting:
        self.tally.sent += 1
        self.tally.pending += 1
        return _Posting(callback)

    async def _hand_out_waiting(self) -> None:
        while True:
            await self._ready.put(await self._waiting.next())

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            await asyncio.to_thread(self._ledger.sync)

    async def _work(self) -> None:
        connections = self._connections()
        while True:
            await self._post(await self._ready.get(), connections)

    async def _post_all(self, postings: Iterator[_Posting]) -> None:
        connections = self._connections()
        for posting in postings:
            await self._post(posting, connections)
        _close(connections)

    def _connections(self) -> list[HttpConnection]:
        return [HttpConnection(HOST, port) for port in self._orders.ports]

    async def _post(self, posting: _Posting, connections: Sequence[HttpConnection]) -> None:
        callback = posting.callback
        if not posting.attempts and not posting.is_double:
            self._ledger.note_sent(callback)
        # Another replica for each repetition.
        at = (zlib.crc32(callback.key.encode()) + posting.attempts) % len(connections)
        started = asyncio.get_running_loop().time()
        status, result = await self._exchange(posting, connections[at])
        posting.attempts += 1
        seconds = asyncio.get_running_loop().time() - started
        self._ledger.note_answer(callback.key, status, result, seconds)
        self._count(status)
        if status == HTTPStatus.OK:
            self._acknowledge(posting)
        elif callback.is_too_large and posting.attempts > _TOO_LARGE_REPEATS:
            self.tally.pending -= 1
        else:
            self._waiting.add(posting, in_seconds=_wait_after(posting.attempts))

    async def _exchange(self, posting: _Posting, connection: HttpConnection) -> tuple[int, str]:
        """The status and the result that the service answers."""
        callback = posting.callback
        path = f"/callbacks/{self._orders.token}/{callback.kind}"
        try:
            async with asyncio.timeout(ATTEMPT_LIMIT_SECONDS):
                if callback.is_cut and not posting.attempts and not posting.is_double:
                    await connection.post_half(path, callback.body)
                    return NO_ANSWER, ""
                answer = await connection.post(path, callback.body)
        except (TimeoutError, OSError, EOFError):
            connection.close()
            return NO_ANSWER, ""
        except (ValueError, KeyError, asyncio.LimitOverrunError):
            connection.close()
            return UNREADABLE_ANSWER, ""
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" not in answer.headers:
            return answer.status, BARE
        return answer.status, QUARANTINED if QUARANTINED.encode() in answer.body else ""

    def _acknowledge(self, posting: _Posting) -> None:
        self.tally.pending -= 1
        if posting.is_double:
            return
        self.tally.acknowledged += 1
        if posting.callback.is_doubled:
            self.tally.pending += 1
            seconds = self._rng.uniform(0, _DOUBLED_WITHIN_SECONDS)
            self._waiting.add(replace(posting, attempts=0, is_double=True), in_seconds=seconds)

    def _count(self, status: int) -> None:
        self.tally.requests += 1
        if status == NO_ANSWER:
            self.tally.unanswered += 1
        elif status != HTTPStatus.OK:
            self.tally.refused += 1

    def current_tally(self) -> Tally:
        """The tally of now."""
        self.tally.is_settled = self._is_finishing and not self.tally.pending
        return self.tally


def _wait_after(attempts: int) -> float:
    """How long until the next attempt; unlike Routee's, there is no last one."""
    at = min(attempts, len(REPEAT_AFTER_SECONDS)) - 1
    return min(REPEAT_AFTER_SECONDS[at] * _TIME_SCALE, _LONGEST_WAIT_SECONDS)


def _close(connections: Iterable[HttpConnection]) -> None:
    for connection in connections:
        connection.close()


async def _obey(sender: Sender, lines: asyncio.StreamReader) -> None:
    """Do what each line says, until they end."""
    while line := await lines.readline():
        order: dict[str, Any] = json.loads(line)
        if "burst" in order:
            sender.burst(Stream(order["burst"]), order["items"])
        else:
            sender.finish()


async def _report(sender: Sender) -> None:
    while True:
        sys.stdout.write(json.dumps(asdict(sender.current_tally())) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(_TALLY_SECONDS)


async def _main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    orders = read_orders(await lines.readline())
    ledger = LedgerFile(Path(orders.ledger), orders.head)
    sender = Sender(orders, ledger)
    tasks = [asyncio.create_task(_report(sender)), asyncio.create_task(sender.run())]
    obeying = asyncio.create_task(_obey(sender, lines))
    await asyncio.wait({obeying, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in (obeying, *tasks) if task.done() and task is not obeying]
    for task in (obeying, *tasks):
        task.cancel()
    await asyncio.wait({obeying, *tasks})
    ledger.close()
    for task in failed:
        task.result()


def read_orders(line: bytes) -> Orders:
    """The orders in a line that `Orders.as_json` made."""
    given = json.loads(line)
    seed, start, inbound_url = given.pop("head")
    from_start = Head(seed, datetime.fromisoformat(start), inbound_url)
    return Orders(head=from_start, **given)


if __name__ == "__main__":
    uvloop.run(_main())
