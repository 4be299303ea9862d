"""From the body of a request to a committed row: who waits, what is flushed, what is set aside."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from app.db.ingest_session import IngestSession
from app.domain.quarantine import quarantined
from app.errors import DatabaseUnavailable, Overloaded, ReceiverError
from app.kit.batcher import Batcher, BatcherError, Full
from app.kit.tick_queue import TickQueue
from app.observability.metrics import Metrics
from app.routee.translate import translate
from app.services.callbacks.flush import Arrival, Flush, KnownCampaigns, Receipt
from app.services.callbacks.screening import Screen

__all__ = ["RETRY_AFTER_SECONDS", "Body", "Intake", "Receipt"]

log = structlog.get_logger()

#: One flush stays well below the budget even when a poison row is searched for in it.
MAX_BATCH_ITEMS: Final = 512
#: An array of callbacks is one item, and may be the whole of a batch.
MAX_BATCH_BYTES: Final = 1024 * 1024
#: What is refused beyond can be had again in half a minute; what waits too long is lost work.
MAX_PENDING_ITEMS: Final = 4096
#: Bodies may be large; many large ones at once must not cost the process its memory.
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024

#: So few that whoever is refused, and asks again at once, does not make the turns of the event loop
#: long: a flush takes several of them. With all at once, 8192 connections that post without a pause
#: had 4 % stored of what is stored otherwise.
MAX_REFUSED_IN_TURN: Final = 64
#: Of thousands who are to be refused more in a turn: turns can take 30 ms then, and all of them
#: must have their answer before they hang up.
_REFUSED_PARTS: Final = 16

RETRY_AFTER_SECONDS: Final = 5


class Body(NamedTuple):
    """The body of one request."""

    octets: bytes
    #: Where it was posted to, without the token.
    path: str
    #: The campaign whose token it came through.
    campaign_id: UUID | None


Done = Callable[[Receipt | BaseException], object]


_BADNESS: Final = {Receipt.STORED: 0, Receipt.QUARANTINED: 1}


class Intake:
    """Takes request bodies and says when they are durable."""

    def __init__(
        self,
        session: IngestSession,
        metrics: Metrics,
        *,
        ack_budget_seconds: float,
        screen: Screen | None = None,
    ) -> None:
        self._session = session
        self._screen = screen
        self._metrics = metrics
        #: What is to be read, and who is told of it. What comes in one turn is read together: one
        #: after the other, with all of the code in the processor's caches, bodies take 14 µs each
        #: instead of 33.
        self._unread: TickQueue[tuple[Body, Done]] = TickQueue(
            self._read, max_items=MAX_BATCH_ITEMS
        )
        self._unread_bytes = 0
        self._refused: TickQueue[Done] = TickQueue(
            _refuse, max_items=MAX_REFUSED_IN_TURN, parts=_REFUSED_PARTS
        )
        self._batcher: Batcher[Sequence[Arrival], Receipt] = Batcher(
            self._flush,
            max_batch_items=MAX_BATCH_ITEMS,
            max_batch_weight=MAX_BATCH_BYTES,
            max_pending_items=MAX_PENDING_ITEMS,
            max_pending_weight=MAX_PENDING_BYTES,
            budget_seconds=ack_budget_seconds,
        )
        metrics.pending_items.set_function(lambda: self._batcher.pending_items)
        self._campaigns = KnownCampaigns()

    async def receive(self, body: bytes, *, path: str, campaign_id: UUID | None = None) -> Receipt:
        """
        Make *body* durable. *campaign_id* is the campaign whose token it came through.

        Raises:
            Overloaded: it could not be made durable in time, or at all at the moment.
        """
        try:
            if not self._batcher.has_room(weight=len(body)):
                raise Full
            arrivals = self._arrivals(Body(body, path, campaign_id))
            return await self._batcher.submit(arrivals, weight=len(body))
        except (BatcherError, DatabaseUnavailable) as error:
            raise Overloaded(
                "The callback could not be stored; please repeat it.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error

    def put(self, body: Body, done: Done) -> None:
        """Make *body* durable, and call *done* with the receipt, or with the error instead."""
        # Refused before it is read: that is most of what a callback costs this process, and the
        # others need it.
        size = len(body.octets)
        if not self._batcher.has_room(
            items=len(self._unread) + 1, weight=self._unread_bytes + size
        ):
            self._refused.put(done)
            return
        self._unread_bytes += size
        self._unread.put((body, done))

    async def close(self) -> None:
        """Take nothing more, and finish what was taken."""
        await self._batcher.close()
        await self._session.close()

    def _read(self, unread: Sequence[tuple[Body, Done]]) -> None:
        for body, done in unread:
            size = len(body.octets)
            self._unread_bytes -= size
            try:
                self._batcher.put(self._arrivals(body), done, weight=size)
            except BatcherError as error:
                done(error)

    def _arrivals(self, body: Body) -> Sequence[Arrival]:
        """What *body* says: at least one."""
        octets, path, campaign_id = body
        records, reason, oddities = translate(octets, campaign_id=campaign_id)
        for oddity in oddities:
            self._metrics.oddities.labels(oddity).inc()
        arrivals = [Arrival(record, path) for record in records]
        if reason is not None:
            aside = quarantined(octets, reason, path=path, campaign_id=campaign_id)
            arrivals.append(Arrival(aside, path))
        return arrivals

    async def _flush(self, bodies: Sequence[Sequence[Arrival]]) -> Sequence[Receipt]:
        started = time.perf_counter()
        arrivals: Sequence[Arrival] = list(chain.from_iterable(bodies))
        try:
            async with self._session.connected() as connection:
                if self._screen is not None:
                    arrivals = await self._screen.screened(connection, arrivals)
                receipts = await Flush(connection, arrivals, self._campaigns, self._metrics).run()
        except BaseException as error:
            self._note_failure(error, items=len(bodies))
            raise
        self._metrics.batch_items.observe(len(arrivals))
        self._metrics.storing.add(len(arrivals))
        self._metrics.flush_seconds.observe(time.perf_counter() - started)
        return receipts if len(receipts) == len(bodies) else list(_of_bodies(receipts, bodies))

    def _note_failure(self, error: BaseException, *, items: int) -> None:
        if isinstance(error, ReceiverError):
            self._metrics.flush_failures.labels(type(error).__name__).inc()
            log.warning("flush failed", items=items, error=str(error))
        elif not isinstance(error, Exception):  # cancelled, because its time was up
            self._metrics.flush_failures.labels("TooLate").inc()
            log.warning("flush abandoned", items=items)
        else:
            log.error("flush failed, which was not foreseen", items=items, exc_info=error)


def _refuse(refused: Sequence[Done]) -> None:
    for done in refused:
        done(Full())


def _of_bodies(
    receipts: Iterable[Receipt], bodies: Iterable[Sequence[Arrival]]
) -> Iterator[Receipt]:
    """One receipt for each body, the worst of those of its parts."""
    parts = iter(receipts)
    for body in bodies:
        yield max(islice(parts, len(body)), key=_BADNESS.__getitem__)
