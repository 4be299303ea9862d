"""The only file that posts callbacks, by Routee's rules for itself (routee-contract, section 3)."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus

import httpx
import structlog

from app.sandbox.behaviour import Behaviour
from app.sandbox.ledger import Fate
from app.sandbox.payloads import written
from app.sandbox.postings import Posting
from app.sandbox.timetable import Timetable

#: The whole attempt, from the connection to the last byte of the answer; not scaled.
ATTEMPT_LIMIT_SECONDS = 2.0

#: The wait before each repeat: 30 s, 1, 2, 5, 10, 15, 30 min, 1, 2, 4, 8, 24 h.
REPEAT_AFTER_SECONDS = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)

#: How far the pace may catch up after a moment in which nothing could be posted.
_CATCH_UP_SECONDS = 0.1

#: Shorter than what servers commonly allow (uvicorn: 5 s), so that they never hang up first.
_KEEPALIVE_SECONDS = 2.0

_HEADERS = {"Content-Type": "application/json"}

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Progress:
    """
    How far the posting is; all numbers are counts.

    `planned`, `acknowledged` and `abandoned` count distinct callbacks, statuses and replies
    together, and the `inbound_…` the replies among them. `duplicates_…` count the second copies
    alone. `attempted`, `retries`, `refused` and `unanswered` count single POSTs of either kind.
    """

    #: Distinct callbacks that are posted until they are acknowledged or abandoned.
    planned: int = 0
    #: Of these, answered with 200 in time.
    acknowledged: int = 0
    #: Callbacks, copies included, given up after the last repeat.
    abandoned: int = 0
    #: Status callbacks that are never posted, on purpose.
    lost: int = 0
    inbound_planned: int = 0
    inbound_acknowledged: int = 0
    duplicates_planned: int = 0
    #: Copies posted at least once.
    duplicates_sent: int = 0
    duplicates_acknowledged: int = 0
    #: POSTs made.
    attempted: int = 0
    #: Of these, repeats of what was not acknowledged.
    retries: int = 0
    #: Of these, answered otherwise than with 200.
    refused: int = 0
    #: Of these, without an answer in time, or without a connection.
    unanswered: int = 0

    @property
    def total(self) -> int:
        """The length of a progress bar: every callback and every copy."""
        return self.planned + self.duplicates_planned

    @property
    def settled(self) -> int:
        """How much of `total` is acknowledged or abandoned."""
        return self.acknowledged + self.duplicates_acknowledged + self.abandoned


class Courier:
    """
    Posts what it is given until it is acknowledged or abandoned.

    One task hands out what is due at the agreed pace, and a fixed number of workers post it; a wait
    for a repeat occupies no worker. The tasks start with the first posting and belong to the
    courier: `aclose` ends them.
    """

    def __init__(self, *, behaviour: Behaviour, progress: Progress) -> None:
        self._behaviour = behaviour
        self._progress = progress
        self._timetable = Timetable[Posting]()
        self._ready = asyncio.Queue[Posting](maxsize=behaviour.connections)
        self._next_slot = 0.0
        self._running: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._released = asyncio.Event()
        if not behaviour.held:
            self._released.set()

    def hold(self) -> None:
        """Post nothing more until `release`; what is under way still goes out."""
        self._released.clear()

    def release(self) -> None:
        """Post what was held back, by the agreed pace, and hold nothing back any more."""
        self._released.set()

    def take(self, postings: Sequence[Posting]) -> None:
        """Post all of these in their order, spread by the agreed pace, after the agreed delay."""
        self._count_planned(postings)
        self._start()
        for place, posting in enumerate(postings):
            seconds = self._behaviour.delay_seconds + place / self._behaviour.callbacks_per_second
            self._timetable.add(posting, in_seconds=seconds)

    async def take_now(self, postings: Sequence[Posting]) -> None:
        """
        Attempt each of these once before returning, without regard to pace and delay.

        While callbacks are held back these are as well, like all others.
        """
        if not self._released.is_set():
            self.take(postings)
            return
        self._count_planned(postings)
        self._start()
        async with self._new_client() as client, asyncio.TaskGroup() as group:
            for posting in postings:
                group.create_task(self._deliver(posting, client))

    async def drained(self) -> None:
        """
        Wait until everything taken so far is acknowledged or abandoned, or the courier is closed.

        Raises:
            ExceptionGroup: posting broke down for a reason that is a defect of the simulator.
        """
        await self._settled.wait()
        if self._running and self._has_ended and not self._running.cancelled():
            self._running.result()

    async def aclose(self) -> None:
        """Stop posting. What is still pending stays so in the ledger."""
        if self._running:
            self._running.cancel()
            await asyncio.wait({self._running})

    def _count_planned(self, postings: Sequence[Posting]) -> None:
        self._progress.planned += len(postings)
        self._progress.inbound_planned += sum(posting.is_inbound for posting in postings)
        self._progress.duplicates_planned += sum(
            posting.doubled_after_seconds is not None for posting in postings
        )
        self._note_settled()

    def _start(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="courier")
            self._running.add_done_callback(self._note_end)

    @property
    def _has_ended(self) -> bool:
        return self._running is not None and self._running.done()

    def _note_end(self, running: asyncio.Task[None]) -> None:
        self._note_settled()
        if not running.cancelled() and (error := running.exception()):
            _log.error("posting broke down", exc_info=error)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_out())
            for _ in range(self._behaviour.connections):
                group.create_task(self._work())

    async def _hand_out(self) -> None:
        while True:
            posting = await self._timetable.next()
            await self._released.wait()
            await self._keep_pace()
            await self._ready.put(posting)

    async def _keep_pace(self) -> None:
        now = asyncio.get_running_loop().time()
        slot = max(self._next_slot, now - _CATCH_UP_SECONDS)
        self._next_slot = slot + 1 / self._behaviour.callbacks_per_second
        if slot > now:
            await asyncio.sleep(slot - now)

    async def _work(self) -> None:
        # A client, thus a connection, for each worker: httpx looks through all connections of a
        # client before each request, which more than halves the speed with sixteen of them.
        async with self._new_client() as client:
            while True:
                await self._deliver(await self._ready.get(), client)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """Reading these takes long; the clients of all workers share them."""
        return httpx.create_ssl_context(trust_env=False)

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._certificates,
            # That of a single step; the whole attempt has its own.
            timeout=ATTEMPT_LIMIT_SECONDS,
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    async def _deliver(self, posting: Posting, client: httpx.AsyncClient) -> None:
        if await self._is_acknowledged(posting, client):
            self._acknowledge(posting)
        elif posting.repeats < len(REPEAT_AFTER_SECONDS):
            self._repeat(posting)
        else:
            self._abandon(posting)
        self._note_settled()

    async def _is_acknowledged(self, posting: Posting, client: httpx.AsyncClient) -> bool:
        self._count_attempt(posting)
        try:
            async with asyncio.timeout(ATTEMPT_LIMIT_SECONDS):
                answer = await client.post(
                    posting.url, content=written(posting.document()), headers=_HEADERS
                )
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            self._progress.unanswered += 1
            # Not the error's text and not the URL: a callback token stands in it.
            _log.debug("callback unanswered", error=type(error).__name__, repeats=posting.repeats)
            return False
        if answer.status_code == HTTPStatus.OK:
            return True
        self._progress.refused += 1
        _log.debug("callback refused", status=answer.status_code, repeats=posting.repeats)
        return False

    def _count_attempt(self, posting: Posting) -> None:
        self._progress.attempted += 1
        if posting.repeats:
            self._progress.retries += 1
        elif posting.is_double:
            self._progress.duplicates_sent += 1

    def _acknowledge(self, posting: Posting) -> None:
        if posting.is_double:
            self._progress.duplicates_acknowledged += 1
            return
        posting.subject.fate = Fate.ACKNOWLEDGED
        self._progress.acknowledged += 1
        self._progress.inbound_acknowledged += posting.is_inbound
        if posting.doubled_after_seconds is not None:
            double = replace(posting, is_double=True, repeats=0)
            self._timetable.add(double, in_seconds=posting.doubled_after_seconds)

    def _repeat(self, posting: Posting) -> None:
        seconds = REPEAT_AFTER_SECONDS[posting.repeats] * self._behaviour.time_scale
        posting.repeats += 1
        self._timetable.add(posting, in_seconds=seconds)

    def _abandon(self, posting: Posting) -> None:
        self._progress.abandoned += 1
        _log.warning("callback abandoned", attempts=posting.repeats + 1)
        if posting.is_double:
            return
        posting.subject.fate = Fate.ABANDONED
        if posting.doubled_after_seconds is not None:
            self._progress.duplicates_planned -= 1

    def _note_settled(self) -> None:
        # After the end nothing is settled any more: nobody should wait for it.
        if self._has_ended or self._progress.settled == self._progress.total:
            self._settled.set()
        else:
            self._settled.clear()
