"""Posts callbacks and repeats them, as Routee does (routee-contract, section 3)."""

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
from app.sandbox.postings import Posting, PostingQueue

#: For a whole attempt, from connecting to the last byte of the answer. `time_scale` does not apply.
ATTEMPT_LIMIT_SECONDS = 2.0

#: The wait before each repeat: 30 s, 1, 2, 5, 10, 15, 30 min, 1, 2, 4, 8, 24 h.
REPEAT_AFTER_SECONDS = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)

#: After a pause, callbacks for at most this time are posted faster than the rate.
_CATCH_UP_SECONDS = 0.1

#: Shorter than common limits of servers (uvicorn: 5 s), so that a server never closes first.
_KEEPALIVE_SECONDS = 2.0

_HEADERS = {"Content-Type": "application/json"}

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PostingProgress:
    """
    Counts of the callbacks so far, statuses and replies together.

    `duplicates_…` count only the second copies.
    """

    #: Distinct callbacks to post until they are acknowledged or abandoned.
    planned: int = 0
    #: Of these, answered with 200 in time.
    acknowledged: int = 0
    #: Callbacks and copies that the last attempt did not deliver.
    abandoned: int = 0
    #: Status callbacks that are never posted, on purpose.
    lost: int = 0
    duplicates_planned: int = 0
    #: Copies posted at least once.
    duplicates_sent: int = 0
    duplicates_acknowledged: int = 0
    #: POSTs made.
    attempted: int = 0
    #: Of these, repeats of unacknowledged callbacks.
    retries: int = 0
    #: Of these, answered with another status than 200.
    refused: int = 0
    #: Of these, without a connection or without an answer in time.
    unanswered: int = 0

    @property
    def total(self) -> int:
        """The length of a progress bar: every callback and every copy."""
        return self.planned + self.duplicates_planned

    @property
    def settled(self) -> int:
        """The part of `total` that is acknowledged or abandoned."""
        return self.acknowledged + self.duplicates_acknowledged + self.abandoned


class CallbackPoster:
    """
    Posts callbacks until they are acknowledged or abandoned.

    One task hands out due callbacks at the configured rate, and a fixed number of workers post
    them; a callback that waits for its next attempt occupies no worker. The tasks start with the
    first callback and end with `aclose`.
    """

    def __init__(self, *, behaviour: Behaviour, progress: PostingProgress) -> None:
        self._behaviour = behaviour
        self._progress = progress
        self._queue = PostingQueue[Posting]()
        self._ready = asyncio.Queue[Posting](maxsize=behaviour.connections)
        self._next_slot = 0.0
        self._running: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._released = asyncio.Event()
        if not behaviour.held:
            self._released.set()

    def hold(self) -> None:
        """Start no attempt until `release`; attempts that are under way continue."""
        self._released.clear()

    def release(self) -> None:
        """Post the held callbacks at the configured rate, and hold none from now on."""
        self._released.set()

    def take(self, postings: Sequence[Posting]) -> None:
        """Post all of these in their order, at the configured rate and after the delay."""
        self._count_planned(postings)
        self._start()
        for index, posting in enumerate(postings):
            seconds = self._behaviour.delay_seconds + index / self._behaviour.callbacks_per_second
            self._queue.add(posting, in_seconds=seconds)

    async def take_now(self, postings: Sequence[Posting]) -> None:
        """
        Attempt each of these once before returning, without rate and delay.

        While callbacks are held, these are held too.
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
        Wait until all callbacks so far are acknowledged or abandoned, or the poster is closed.

        Raises:
            ExceptionGroup: the simulator failed.
        """
        await self._settled.wait()
        if self._running and self._has_ended and not self._running.cancelled():
            self._running.result()

    async def aclose(self) -> None:
        """Stop posting. Pending callbacks stay pending in the ledger."""
        if self._running:
            self._running.cancel()
            await asyncio.wait({self._running})

    def _count_planned(self, postings: Sequence[Posting]) -> None:
        self._progress.planned += len(postings)
        self._progress.duplicates_planned += sum(
            posting.doubled_after_seconds is not None for posting in postings
        )
        self._note_settled()

    def _start(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="callback poster")
            self._running.add_done_callback(self._note_end)

    @property
    def _has_ended(self) -> bool:
        return self._running is not None and self._running.done()

    def _note_end(self, running: asyncio.Task[None]) -> None:
        self._note_settled()
        if not running.cancelled() and (error := running.exception()):
            _log.error("posting failed", exc_info=error)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_out())
            for _ in range(self._behaviour.connections):
                group.create_task(self._work())

    async def _hand_out(self) -> None:
        while True:
            posting = await self._queue.next()
            await self._released.wait()
            await self._keep_rate()
            await self._ready.put(posting)

    async def _keep_rate(self) -> None:
        now = asyncio.get_running_loop().time()
        slot = max(self._next_slot, now - _CATCH_UP_SECONDS)
        self._next_slot = slot + 1 / self._behaviour.callbacks_per_second
        if slot > now:
            await asyncio.sleep(slot - now)

    async def _work(self) -> None:
        # Each worker has its own client with one connection: httpx searches all connections of a
        # client before each request, and with sixteen of them that more than halves the speed.
        async with self._new_client() as client:
            while True:
                await self._deliver(await self._ready.get(), client)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """The trusted certificates. Reading them is slow, so all clients share them."""
        return httpx.create_ssl_context(trust_env=False)

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._certificates,
            # For a single step; `_is_acknowledged` limits the whole attempt.
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
            # Neither the error's text nor the URL is logged: the URL contains the callback token.
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
        if posting.doubled_after_seconds is not None:
            double = replace(posting, is_double=True, repeats=0)
            self._queue.add(double, in_seconds=posting.doubled_after_seconds)

    def _repeat(self, posting: Posting) -> None:
        seconds = REPEAT_AFTER_SECONDS[posting.repeats] * self._behaviour.time_scale
        posting.repeats += 1
        self._queue.add(posting, in_seconds=seconds)

    def _abandon(self, posting: Posting) -> None:
        self._progress.abandoned += 1
        _log.warning("callback abandoned", attempts=posting.repeats + 1)
        if posting.is_double:
            return
        posting.subject.fate = Fate.ABANDONED
        if posting.doubled_after_seconds is not None:
            self._progress.duplicates_planned -= 1

    def _note_settled(self) -> None:
        # After the end no callback will be settled, so `drained` must not wait.
        if self._has_ended or self._progress.settled == self._progress.total:
            self._settled.set()
        else:
            self._settled.clear()
