"""From the body of a request to a committed row: limits what waits, and flushes it in batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final
from uuid import UUID

import structlog

from app.domain.quarantine import Quarantined
from app.errors import DatabaseUnavailable, Overloaded
from app.kit.batcher import Batcher, BatcherError, Full
from app.kit.tick_queue import TickQueue
from app.observability import tracing
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.services.callbacks.flush import PendingRecord, Receipt
from app.services.callbacks.large_body import LargeBody
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.storing import Outcome, Store

__all__ = ["RETRY_AFTER_SECONDS", "Body", "Intake", "Receipt"]

log = structlog.get_logger()

#: One flush stays well below the budget even when it has to search for a poison row.
MAX_BATCH_ITEMS: Final = 512
#: An array of callbacks is one item, or some.
MAX_BATCH_BYTES: Final = 1024 * 1024
#: Larger bodies are read and stored in pieces, between which the event loop does other work.
LARGE_BYTES: Final = 16 * 1024
#: What a record of a large body costs besides its payload, in memory and in time: so a batch has at
#: most some thousand of them.
_RECORD_WEIGHT: Final = 1024
#: A refused callback is first repeated after 30 s; one whose caller has hung up was stored for
#: nothing.
MAX_PENDING_ITEMS: Final = 4096
#: Bodies may be large; many large ones at once must not cost the process its memory.
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024

#: Few refusals per tick, so that clients which repeat at once do not make the ticks of the event
#: loop long: a flush takes several ticks. Refusing all at once, throughput fell to 4 % with 8192
#: clients that post without a pause.
MAX_REFUSED_PER_TICK: Final = 64
#: A long queue is emptied in about 16 ticks (30 ms each under load), before clients hang up.
_REFUSED_PARTS: Final = 16

RETRY_AFTER_SECONDS: Final = 5


Done = Callable[[Receipt | BaseException], object]


class Intake:
    """Takes request bodies and says when they are durable."""

    def __init__(
        self, reader: Reader, store: Store, metrics: Metrics, *, ack_budget_seconds: float
    ) -> None:
        self._reader = reader
        self._store = store
        #: Bodies to read, each with the function to call. The bodies of one tick are read together:
        #: with all of the code in the processor's caches a body takes 14 µs instead of 33.
        self._unread: TickQueue[tuple[Body, Done]] = TickQueue(
            self._read, max_items=MAX_BATCH_ITEMS
        )
        self._unread_bytes = 0
        #: Large bodies that are not read to their ends. One piece is read in a tick.
        self._large: deque[tuple[Body, LargeBody]] = deque()
        self._ack_budget_seconds = ack_budget_seconds
        self._refused = refusals()
        self._batcher: Batcher[Sequence[PendingRecord], Outcome] = Batcher(
            self._flush,
            max_batch_items=MAX_BATCH_ITEMS,
            max_batch_weight=MAX_BATCH_BYTES,
            max_pending_items=MAX_PENDING_ITEMS,
            max_pending_weight=MAX_PENDING_BYTES,
            budget_seconds=ack_budget_seconds,
        )
        metrics.sample_by(metrics.pending_items, lambda: self.pending_items)

    @property
    def pending_items(self) -> int:
        """How many bodies wait for their commit."""
        return self._batcher.pending_items

    async def receive(
        self,
        octets: bytes,
        *,
        path: str,
        campaign_id: UUID | None = None,
        content: Content | None = None,
    ) -> Receipt:
        """
        Make a body durable; the parameters are those of `Body`.

        Raises:
            Overloaded: it could not be made durable in time, or at all at the moment.
        """
        try:
            body = Body(octets, path, campaign_id, content)
            if not self._batcher.has_room(weight=self._unread_bytes + len(octets)):
                raise Full
            if _is_large(body):
                outcome: Outcome = await self._received_in_pieces(body)
            else:
                records = self._reader.read(body)
                with tracing.waiting(records):
                    outcome = await self._batcher.submit(records, weight=len(octets))
        except (BatcherError, DatabaseUnavailable) as error:
            raise not_stored() from error
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def put(self, body: Body, done: Done) -> None:
        """Make *body* durable, and call *done* with the receipt, or with the error instead."""
        # Refused before it is read: reading is most of what a callback costs this process.
        size = len(body.octets)
        if not self._batcher.has_room(
            items=len(self._unread) + 1, weight=self._unread_bytes + size
        ):
            self._refused.put(done)
            return
        self._unread_bytes += size
        self._unread.put((body, done))

    @property
    def is_behind(self) -> bool:
        """Whether more bodies wait than one flush takes."""
        return self._batcher.pending_items > MAX_BATCH_ITEMS

    def forget(self) -> None:
        """Forget what the database said before: it may be another one."""
        self._store.forget()

    async def close(self) -> None:
        """Accept nothing more, and finish what was accepted."""
        await self._batcher.close()
        await self._store.close()

    def _read(self, unread: Sequence[tuple[Body, Done]]) -> None:
        for body, done in unread:
            size = len(body.octets)
            if _is_large(body):
                self._read_in_pieces(body, done)
                continue
            self._unread_bytes -= size
            try:
                self._batcher.put(self._reader.read(body), done, weight=size)
            except Exception as error:  # noqa: BLE001 (what one body meets harms no other)
                _report(done, error)

    async def _received_in_pieces(self, body: Body) -> Receipt:
        ended: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

        def _end(outcome: Receipt | BaseException) -> None:
            if ended.done():  # the caller is gone
                return
            if isinstance(outcome, BaseException):
                ended.set_exception(outcome)
            else:
                ended.set_result(outcome)

        self._unread_bytes += len(body.octets)
        self._read_in_pieces(body, _end)
        return await ended

    def _read_in_pieces(self, body: Body, done: Done) -> None:
        """Make *body*, whose size counts as unread, durable piece by piece."""
        pieces = self._reader.read_in_pieces(body)
        large = LargeBody(pieces, done, budget_seconds=self._ack_budget_seconds)
        if not self._large:
            asyncio.get_running_loop().call_soon(self._read_piece)
        self._large.append((body, large))

    def _read_piece(self) -> None:
        """Read the next piece of the first large body; the others wait, so only one is open."""
        body, large = self._large[0]
        try:
            piece = None if large.has_ended else large.next_piece()
            if piece is not None:
                self._store_piece(piece, large)
        except BatcherError as error:
            large.end(error)
        except Exception as error:  # noqa: BLE001 (what one body meets harms no other)
            self._reader.note_failure(error)
            large.end(error)
        finally:
            if large.has_ended or not large.is_unread:
                self._large.popleft()
                self._unread_bytes -= len(body.octets)
            if self._large:
                asyncio.get_running_loop().call_soon(self._read_piece)

    def _store_piece(self, records: Sequence[PendingRecord], large: LargeBody) -> None:
        if records:
            weight = sum(_weight_of(record) for record in records)
            self._batcher.put(records, large.ended, weight=weight)
            large.began()

    async def _flush(self, bodies: Sequence[Sequence[PendingRecord]]) -> Sequence[Outcome]:
        with tracing.flush("store callbacks", bodies):
            outcomes = await self._store.store(list(chain.from_iterable(bodies)))
        return outcomes if len(outcomes) == len(bodies) else list(_of_bodies(outcomes, bodies))


def not_stored() -> Overloaded:
    """The error for a body that could not be made durable."""
    return Overloaded(
        "The callback could not be stored; please repeat it.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def refusals() -> TickQueue[Done]:
    """A queue that calls each function that is put with `Full`, few of them in a tick."""
    return TickQueue(_refuse, max_items=MAX_REFUSED_PER_TICK, parts=_REFUSED_PARTS)


def _refuse(refused: Sequence[Done]) -> None:
    for done in refused:
        _report(done, Full())


def _report(done: Done, error: Exception) -> None:
    """Call *done* with *error*; that it fails itself is no matter of the other bodies."""
    try:
        done(error)
    except Exception:
        log.exception("reporting what became of a body failed")


def _is_large(body: Body) -> bool:
    """Whether it is read in pieces: it is large, or may open to something large."""
    return len(body.octets) > LARGE_BYTES or body.content is not None


def _weight_of(pending: PendingRecord) -> int:
    record = pending.record
    payload = record.body if isinstance(record, Quarantined) else record.payload
    return len(payload) + _RECORD_WEIGHT


def _of_bodies(
    outcomes: Iterable[Outcome], bodies: Iterable[Sequence[PendingRecord]]
) -> Iterator[Outcome]:
    """One outcome for each body: failed if any of its records is, else quarantined if any is."""
    remaining = iter(outcomes)
    for body in bodies:
        its = list(islice(remaining, len(body)))
        failures = (outcome for outcome in its if isinstance(outcome, Exception))
        quarantined_or_stored = (
            Receipt.QUARANTINED if Receipt.QUARANTINED in its else Receipt.STORED
        )
        yield next(failures, quarantined_or_stored)
