"""From a message of the buffer to committed rows: what `routee-receiver work` does with each."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import structlog

from app.buffer.message import BufferedBatch, BufferedBody, MessageDamaged, decoded
from app.domain.quarantine import Reason, quarantined
from app.errors import DatabaseUnavailable, ReceiverError
from app.observability import tracing
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.services.callbacks.flush import PendingRecord
from app.services.callbacks.intake import LARGE_BYTES, MAX_BATCH_ITEMS
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.storing import Store

log = structlog.get_logger()

#: A database that does not answer is given up after this time.
STORE_SECONDS: Final = 15.0
#: For a message that is damaged: it has no path of its own.
_BUFFER_PATH: Final = "/buffer"


class BatchStorage:
    """Stores the bodies of messages. Storing a message again changes nothing."""

    def __init__(self, reader: Reader, store: Store, metrics: Metrics) -> None:
        self._reader = reader
        self._store = store
        self._metrics = metrics

    async def stored(self, message: bytes, *, gives_up: bool) -> bool:
        """
        Make all that *message* holds durable; False if bodies met unforeseen errors.

        With *gives_up* these go to the quarantine, where they can be replayed. So does a message
        that is damaged.

        Raises:
            DatabaseUnavailable: not all of it is durable.
        """
        try:
            batch = decoded(message)
        except MessageDamaged as error:
            log.error(  # noqa: TRY400 (its message says all)
                "a message of the buffer is damaged", error=str(error), size=len(message)
            )
            await self._set_aside([_damaged(message)], received_at=None)
            return True
        with tracing.work("store buffered callbacks"):
            failed = await self._store_bodies(batch)
        if not failed:
            return True
        if gives_up:
            log.error("bodies of the buffer are set aside", bodies=len(failed))
            await self._set_aside(
                [_unforeseen(body) for body in failed], received_at=batch.received_at
            )
        return gives_up

    async def _store_bodies(self, batch: BufferedBatch) -> list[BufferedBody]:
        """Store what the bodies of *batch* report; those that met unforeseen errors."""
        failed: set[int] = set()
        gathered: list[tuple[int, PendingRecord]] = []
        for index, body in enumerate(batch.bodies):
            try:
                for piece in self._pieces(body):
                    gathered += [(index, record) for record in piece]
                    if len(gathered) >= MAX_BATCH_ITEMS:
                        failed |= await self._flush(gathered, batch.received_at)
                        gathered = []
            except ReceiverError:
                raise
            except Exception:  # noqa: BLE001 (the reader has logged it)
                failed.add(index)
        failed |= await self._flush(gathered, batch.received_at)
        return [batch.bodies[index] for index in sorted(failed)]

    def _pieces(self, body: BufferedBody) -> Iterator[Sequence[PendingRecord]]:
        octets, path, campaign_id, content = body
        read = Body(octets, path, campaign_id, Content(*content) if content else None)
        if content is None and len(octets) <= LARGE_BYTES:
            yield self._reader.read(read)
            return
        try:
            yield from self._reader.read_in_pieces(read)
        except Exception as error:
            self._reader.note_failure(error)
            raise

    async def _flush(
        self, gathered: Sequence[tuple[int, PendingRecord]], received_at: datetime
    ) -> set[int]:
        """Store records, each with the index of its body; the indexes of those that failed."""
        if not gathered:
            return set()
        try:
            async with asyncio.timeout(STORE_SECONDS):
                outcomes = await self._store.store(
                    [record for _, record in gathered], received_at=received_at
                )
        except TimeoutError as error:
            raise DatabaseUnavailable("The database did not answer in time.") from error
        except ReceiverError:
            raise
        except Exception:  # noqa: BLE001 (the store has logged it)
            if len(gathered) == 1:
                return {gathered[0][0]}
            middle = len(gathered) // 2
            return await self._flush(gathered[:middle], received_at) | await self._flush(
                gathered[middle:], received_at
            )
        pairs = zip(gathered, outcomes, strict=True)
        return {index for (index, _), outcome in pairs if isinstance(outcome, Exception)}

    async def _set_aside(
        self, records: Iterable[PendingRecord], *, received_at: datetime | None
    ) -> None:
        """
        Put *records*, which are quarantined bodies, into the quarantine.

        Raises:
            DatabaseUnavailable: they are not there.
        """
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.store(list(records), received_at=received_at)
        except TimeoutError as error:
            raise DatabaseUnavailable("The database did not answer in time.") from error


def _damaged(message: bytes) -> PendingRecord:
    damaged = quarantined(message, Reason.DAMAGED_BUFFER_MESSAGE, path=_BUFFER_PATH)
    return PendingRecord(damaged, _BUFFER_PATH)


def _unforeseen(body: BufferedBody) -> PendingRecord:
    octets, path, campaign_id, content = body
    content_type, content_encoding = content or ("", "")
    unforeseen = quarantined(
        octets,
        Reason.UNFORESEEN_ERROR,
        path=path,
        campaign_id=campaign_id,
        content_type=content_type,
        content_encoding=content_encoding,
    )
    return PendingRecord(unforeseen, path)
