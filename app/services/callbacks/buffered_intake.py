"""From the body of a request to the replicated buffer: an intake that does not need PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from app.buffer.connection import Buffer
from app.buffer.message import MAX_CONTENT_BYTES, BufferedBatch, BufferedBody, encoded, size_of
from app.errors import BufferUnavailable
from app.kit.batcher import Batcher, BatcherError
from app.observability import tracing
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.services.callbacks.flush import Receipt
from app.services.callbacks.flush_notes import FlushNotes
from app.services.callbacks.intake import (
    MAX_BATCH_ITEMS,
    MAX_PENDING_BYTES,
    MAX_PENDING_ITEMS,
    Done,
    Intake,
    not_stored,
    refusals,
)
from app.services.callbacks.reading import Body
from app.services.readiness import FlushRecord

#: A batch of this size takes no more bodies.
MAX_BATCH_BYTES: Final = 512 * 1024
#: So that one more body fits into a message whose batch has almost that size.
MAX_BUFFERED_BYTES: Final = MAX_CONTENT_BYTES - MAX_BATCH_BYTES


class BufferedIntake:
    """
    Takes request bodies unread, and says when the buffer has acknowledged them.

    A body that is too large for a message is stored directly, through *direct*.
    """

    def __init__(
        self,
        buffer: Buffer,
        direct: Intake,
        metrics: Metrics,
        *,
        flushes: FlushRecord,
        ack_budget_seconds: float,
    ) -> None:
        self._buffer = buffer
        self._direct = direct
        self._notes = FlushNotes(metrics, flushes, what="the buffer")
        self._refused = refusals()
        self._batcher: Batcher[BufferedBody, Receipt] = Batcher(
            self._flush,
            max_batch_items=MAX_BATCH_ITEMS,
            max_batch_weight=MAX_BATCH_BYTES,
            max_pending_items=MAX_PENDING_ITEMS,
            max_pending_weight=MAX_PENDING_BYTES,
            budget_seconds=ack_budget_seconds,
        )
        metrics.sample_by(
            metrics.pending_items, lambda: self._batcher.pending_items + direct.pending_items
        )

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
        body = BufferedBody(octets, path, campaign_id, content)
        size = size_of(body)
        if size > MAX_BUFFERED_BYTES:
            return await self._direct.receive(
                octets, path=path, campaign_id=campaign_id, content=content
            )
        try:
            with tracing.waiting(body):
                return await self._batcher.submit(body, weight=size)
        except (BatcherError, BufferUnavailable) as error:
            raise not_stored() from error

    def put(self, body: Body, done: Done) -> None:
        """Make *body* durable, and call *done* with the receipt, or with the error instead."""
        buffered = BufferedBody(*body)
        size = size_of(buffered)
        if size > MAX_BUFFERED_BYTES:
            self._direct.put(body, done)
        elif self._batcher.has_room(weight=size):
            self._batcher.put(buffered, done, weight=size)
        else:
            self._refused.put(done)

    @property
    def is_behind(self) -> bool:
        """Whether more bodies wait than one flush takes."""
        return self._batcher.pending_items > MAX_BATCH_ITEMS or self._direct.is_behind

    def forget(self) -> None:
        """Forget what the database said before: it may be another one."""
        self._direct.forget()

    async def close(self) -> None:
        """Accept nothing more, and finish what was accepted."""
        await self._batcher.close()
        await self._direct.close()
        await self._buffer.close()

    async def _flush(self, bodies: Sequence[BufferedBody]) -> Sequence[Receipt]:
        """Publish *bodies* as one message; all are acknowledged with it, or none is."""
        with tracing.flush("buffer callbacks", bodies), self._notes.noted(len(bodies)):
            await self._buffer.publish(encoded(BufferedBatch(bodies, datetime.now(UTC))))
        return [Receipt.BUFFERED] * len(bodies)
