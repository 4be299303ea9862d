"""Takes batches from the buffer one after another, and removes them once they are committed."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from app.buffer.connection import Buffer
from app.buffer.deliveries import Deliveries, Delivery
from app.errors import DatabaseUnavailable, ReceiverError
from app.observability.metrics import Metrics
from app.services.buffer.storing import BatchStorage

log = structlog.get_logger()

#: A batch whose worker was killed is delivered to another one after this time.
ACK_WAIT_SECONDS: Final = 30.0
#: After so long without a batch it is checked whether the consumer still exists.
_POLL_SECONDS: Final = 2.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0
#: How often a batch with a body that meets an unforeseen error is tried, after 5 s, 10 s and so on.
MAX_ATTEMPTS: Final = 5
_SECONDS_PER_ATTEMPT: Final = 5.0


class Worker:
    """Moves batches from the buffer to the database until it is stopped."""

    def __init__(
        self,
        buffer: Buffer,
        storage: BatchStorage,
        metrics: Metrics,
        *,
        ack_wait_seconds: float = ACK_WAIT_SECONDS,
    ) -> None:
        self._buffer = buffer
        self._storage = storage
        self._metrics = metrics
        self._ack_wait_seconds = ack_wait_seconds
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._stopping = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Have `run` return once the batch in hand is stored."""
        self._stopping.set()

    async def run(self) -> None:
        """Store batches until `stop`; whatever fails is tried again."""
        deliveries: Deliveries | None = None
        while not self._stopping.is_set():
            try:
                if deliveries is None:
                    deliveries = await self._buffer.deliveries(
                        ack_wait_seconds=self._ack_wait_seconds
                    )
                delivery = await self._next(deliveries)
                if delivery is not None:
                    await self._handle(delivery)
            except Exception as error:  # noqa: BLE001 (a worker goes on)
                await self._pause_after(error)
                if deliveries is not None and not isinstance(error, DatabaseUnavailable):
                    await deliveries.close()
                    deliveries = None
        if deliveries is not None:
            await deliveries.close()

    async def _next(self, deliveries: Deliveries) -> Delivery | None:
        """The next batch; None if there is none for a while, and on `stop`."""
        fetching = asyncio.create_task(deliveries.next(timeout_seconds=_POLL_SECONDS))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({fetching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else None
        finally:
            fetching.cancel()
            stopping.cancel()
            await asyncio.gather(fetching, stopping, return_exceptions=True)

    async def _handle(self, delivery: Delivery) -> None:
        """
        Store *delivery* and remove it, or have it delivered again.

        Raises:
            DatabaseUnavailable: not all of it is stored.
            BufferUnavailable: it is stored, and will be delivered again.
        """
        is_stored, again_in = False, self._pause_seconds
        try:
            gives_up = delivery.times >= MAX_ATTEMPTS
            is_stored = await self._storage.stored(delivery.octets, gives_up=gives_up)
            again_in = _SECONDS_PER_ATTEMPT * delivery.times
        finally:
            if is_stored:
                await delivery.remove()
                self._pause_seconds = _FIRST_PAUSE_SECONDS
            else:
                await delivery.postpone(again_in)
            self._metrics.buffer_batches.labels("stored" if is_stored else "postponed").inc()

    async def _pause_after(self, error: Exception) -> None:
        """Log *error* and wait, longer after each failure in a row, but not after `stop`."""
        if isinstance(error, ReceiverError):
            log.warning("batches of the buffer have to wait", error=str(error))
        else:
            log.error("a batch of the buffer could not be handled", exc_info=error)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
