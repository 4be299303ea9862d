"""From the body of a request to a committed row: who waits, what is flushed, what is set aside."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from app.db.ingest_session import IngestSession
from app.domain.quarantine import quarantined
from app.errors import DatabaseUnavailable, Overloaded, ReceiverError
from app.kit.batcher import Batcher, BatcherError
from app.observability.metrics import Metrics
from app.routee.translate import translate
from app.services.flush import Arrival, Flush, KnownCampaigns, Receipt

__all__ = ["RETRY_AFTER_SECONDS", "Intake", "Receipt"]

log = structlog.get_logger()

#: One flush stays well below the budget even when a poison row is searched for in it.
MAX_BATCH_ITEMS: Final = 512
#: What is refused beyond can be had again in half a minute; what waits too long is lost work.
MAX_PENDING_ITEMS: Final = (
    4096  #: Bodies may be large; many large ones at once must not cost the process its memory.
)
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024

RETRY_AFTER_SECONDS: Final = 5


class Intake:
    """Takes request bodies and returns once they are durable."""

    def __init__(
        self, session: IngestSession, metrics: Metrics, *, ack_budget_seconds: float
    ) -> None:
        self._session = session
        self._metrics = metrics
        self._batcher: Batcher[Arrival, Receipt] = Batcher(
            self._flush,
            max_batch_items=MAX_BATCH_ITEMS,
            max_pending_items=MAX_PENDING_ITEMS,
            budget_seconds=ack_budget_seconds,
        )
        metrics.pending_items.set_function(lambda: self._batcher.pending_items)
        self._campaigns = KnownCampaigns()
        self._pending_bytes = 0

    async def receive(self, body: bytes, *, path: str, campaign_id: UUID | None = None) -> Receipt:
        """
        Make *body* durable. *campaign_id* is the campaign whose token it came through.

        Raises:
            Overloaded: it could not be made durable in time, or at all at the moment.
        """
        if self._pending_bytes + len(body) > MAX_PENDING_BYTES:
            raise Overloaded(
                "Too much is waiting to be stored.", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        self._pending_bytes += len(body)
        try:
            return await self._received(body, path, campaign_id)
        finally:
            self._pending_bytes -= len(body)

    async def close(self) -> None:
        """Take nothing more, and finish what was taken."""
        await self._batcher.close()
        await self._session.close()

    async def _received(self, body: bytes, path: str, campaign_id: UUID | None) -> Receipt:
        translation = translate(body, campaign_id=campaign_id)
        arrivals = [Arrival(record, path) for record in translation.records]
        if translation.reason is not None:
            aside = quarantined(body, translation.reason, path=path, campaign_id=campaign_id)
            arrivals.append(Arrival(aside, path))
        for oddity in translation.oddities:
            self._metrics.oddities.labels(oddity).inc()
        try:
            return await self._submit(arrivals)
        except (BatcherError, DatabaseUnavailable) as error:
            raise Overloaded(
                "The callback could not be stored; please repeat it.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error

    async def _submit(self, arrivals: Sequence[Arrival]) -> Receipt:
        if len(arrivals) == 1:
            return await self._batcher.submit(arrivals[0])
        receipts = await asyncio.gather(*map(self._batcher.submit, arrivals))
        return Receipt.QUARANTINED if Receipt.QUARANTINED in receipts else Receipt.STORED

    async def _flush(self, arrivals: Sequence[Arrival]) -> Sequence[Receipt]:
        started = time.perf_counter()
        try:
            async with self._session.connected() as connection:
                receipts = await Flush(connection, arrivals, self._campaigns, self._metrics).run()
        except asyncio.CancelledError:
            self._metrics.flush_failures.labels("TooLate").inc()
            log.warning("flush abandoned", items=len(arrivals))
            raise
        except ReceiverError as error:
            self._metrics.flush_failures.labels(type(error).__name__).inc()
            log.warning("flush failed", items=len(arrivals), error=str(error))
            raise
        self._metrics.batch_items.observe(len(arrivals))
        self._metrics.storing.add(len(arrivals))
        self._metrics.flush_seconds.observe(time.perf_counter() - started)
        return receipts
