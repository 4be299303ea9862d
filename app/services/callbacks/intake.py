"""From the body of a request to a committed row: limits what waits, and flushes it in batches."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from app.db.ingest import IngestConnection, IngestSession
from app.domain.masking import SecretMask
from app.domain.quarantine import quarantined
from app.errors import DatabaseUnavailable, Overloaded, ReceiverError
from app.kit.batcher import Batcher, BatcherError, Full
from app.kit.tick_queue import TickQueue
from app.observability.metrics import Metrics
from app.routee.content import Content, opened
from app.routee.translate import NO_ODDITIES, Translation, translate
from app.routee.wire import Unreadable
from app.services.callbacks.flush import CampaignCache, Flush, PendingRecord, Receipt
from app.services.callbacks.masking import without_secrets
from app.services.callbacks.screening import Screen
from app.services.readiness import FlushRecord

__all__ = ["RETRY_AFTER_SECONDS", "Body", "Intake", "Receipt"]

log = structlog.get_logger()

#: One flush stays well below the budget even when it has to search for a poison row.
MAX_BATCH_ITEMS: Final = 512
#: An array of callbacks is one item, and may fill a batch alone.
MAX_BATCH_BYTES: Final = 1024 * 1024
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


class Body(NamedTuple):
    """The body of one request."""

    octets: bytes
    #: The path that it was posted to, without the token.
    path: str
    #: The campaign whose token it came through; None for a shared callback secret.
    campaign_id: UUID | None
    #: The headers that say how the octets are to be read; None if they say what is usual.
    content: Content | None = None


Done = Callable[[Receipt | BaseException], object]
#: What a flush says of a body: an exception if it is not durable although others are.
Outcome = Receipt | Exception


class Intake:
    """Takes request bodies and says when they are durable."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        session: IngestSession,
        metrics: Metrics,
        *,
        ack_budget_seconds: float,
        max_body_bytes: int = 1024 * 1024,
        screen: Screen | None = None,
        mask: SecretMask | None = None,
        flushes: FlushRecord | None = None,
    ) -> None:
        self._max_body_bytes = max_body_bytes
        self._session = session
        self._screen = screen
        self._mask = mask or SecretMask()
        self._metrics = metrics
        self._flushes = flushes or FlushRecord()
        #: Bodies to read, each with the function to call. The bodies of one tick are read together:
        #: with all of the code in the processor's caches a body takes 14 µs instead of 33.
        self._unread: TickQueue[tuple[Body, Done]] = TickQueue(
            self._read, max_items=MAX_BATCH_ITEMS
        )
        self._unread_bytes = 0
        self._refused: TickQueue[Done] = TickQueue(
            _refuse, max_items=MAX_REFUSED_PER_TICK, parts=_REFUSED_PARTS
        )
        self._batcher: Batcher[Sequence[PendingRecord], Outcome] = Batcher(
            self._flush,
            max_batch_items=MAX_BATCH_ITEMS,
            max_batch_weight=MAX_BATCH_BYTES,
            max_pending_items=MAX_PENDING_ITEMS,
            max_pending_weight=MAX_PENDING_BYTES,
            budget_seconds=ack_budget_seconds,
        )
        metrics.pending_items.set_function(lambda: self._batcher.pending_items)
        self._campaigns = CampaignCache()
        #: The connection through which that is known.
        self._known_through: IngestConnection | None = None

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
            size = len(octets)
            if not self._batcher.has_room(weight=size):
                raise Full
            records = self._noted_records_of(Body(octets, path, campaign_id, content))
            outcome = await self._batcher.submit(records, weight=size)
        except (BatcherError, DatabaseUnavailable) as error:
            raise Overloaded(
                "The callback could not be stored; please repeat it.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error
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

    def forget(self) -> None:
        """Forget what the database said before: it may be another one."""
        self._campaigns = self._campaigns.anew()

    async def close(self) -> None:
        """Accept nothing more, and finish what was accepted."""
        await self._batcher.close()
        await self._session.close()

    def _read(self, unread: Sequence[tuple[Body, Done]]) -> None:
        for body, done in unread:
            size = len(body.octets)
            self._unread_bytes -= size
            try:
                self._batcher.put(self._noted_records_of(body), done, weight=size)
            except Exception as error:  # noqa: BLE001 (what one body meets harms no other)
                _tell(done, error)

    def _noted_records_of(self, body: Body) -> Sequence[PendingRecord]:
        try:
            return self._records_of(body)
        except Exception:
            self._metrics.records_failed.labels("read").inc()
            log.exception("a body met an unforeseen error and was not stored")
            raise

    def _records_of(self, body: Body) -> Sequence[PendingRecord]:
        """What *body* reports: at least one record."""
        octets, path, campaign_id, content = body
        if content is None:
            records, reason, oddities = translate(octets, campaign_id=campaign_id)
        else:
            records, reason, oddities = self._translated(octets, content, campaign_id)
        for oddity in oddities:
            self._metrics.oddities.labels(oddity).inc()
        pending = [PendingRecord(without_secrets(one, self._mask), path) for one in records]
        if reason is not None:
            content_type, content_encoding = content or Content()
            unreadable = quarantined(
                octets,
                reason,
                path=path,
                campaign_id=campaign_id,
                content_type=self._mask.text(content_type),
                content_encoding=self._mask.text(content_encoding),
            )
            pending.append(PendingRecord(unreadable, path))
        return pending

    def _translated(self, octets: bytes, content: Content, campaign_id: UUID | None) -> Translation:
        try:
            octets = opened(octets, content, max_bytes=self._max_body_bytes)
        except Unreadable as error:
            return Translation((), error.reason, NO_ODDITIES)
        return translate(octets, campaign_id=campaign_id)

    async def _flush(self, bodies: Sequence[Sequence[PendingRecord]]) -> Sequence[Outcome]:
        started = time.perf_counter()
        batch: Sequence[PendingRecord] = list(chain.from_iterable(bodies))
        try:
            async with self._session.connected() as connection:
                campaigns = self._known_by(connection)
                if self._screen is not None:
                    batch = await self._screen.screened(connection, batch)
                receipts = await Flush(connection, batch, campaigns, self._metrics).run()
        except BaseException as error:
            self._note_failure(error, items=len(bodies))
            raise
        self._flushes.note_success()
        self._metrics.batch_items.observe(len(batch))
        self._metrics.storing.add(len(batch))
        self._metrics.flush_seconds.observe(time.perf_counter() - started)
        return receipts if len(receipts) == len(bodies) else list(_of_bodies(receipts, bodies))

    def _known_by(self, connection: IngestConnection) -> CampaignCache:
        """
        What is known of campaigns through *connection*: nothing at first, after an outage too.

        The database may have been restored since, or be a standby that lacks the last seconds. A
        flush that still runs on another connection keeps what it knows to itself.
        """
        known_through, self._known_through = self._known_through, connection
        if known_through is not None and known_through is not connection:
            self.forget()
            if self._screen is not None:
                self._screen.forget()
        return self._campaigns

    def _note_failure(self, error: BaseException, *, items: int) -> None:
        self._flushes.note_failure()
        if isinstance(error, ReceiverError):
            self._metrics.flush_failures.labels(type(error).__name__).inc()
            log.warning("flush failed", items=items, error=str(error))
        elif not isinstance(error, Exception):  # cancelled at its deadline
            self._metrics.flush_failures.labels("TooLate").inc()
            log.warning("flush abandoned", items=items)
        else:
            self._metrics.flush_failures.labels("unexpected").inc()
            log.error("flush failed unexpectedly", items=items, exc_info=error)


def _refuse(refused: Sequence[Done]) -> None:
    for done in refused:
        _tell(done, Full())


def _tell(done: Done, error: Exception) -> None:
    """Call *done* with *error*; that it fails itself is no matter of the other bodies."""
    try:
        done(error)
    except Exception:
        log.exception("telling what became of a body failed")


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
