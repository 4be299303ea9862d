"""Batches that are flushed as a process flushes them, without the process."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.db.ingest import IngestSession
from app.observability.metrics import Metrics
from app.routee.translate import translate
from app.services.callbacks.flush import CampaignCache, Flush, PendingRecord
from tests.promises.load import Callback

PATH: Final = "/callbacks/***/status"


class Flushing:
    """One process's way to the database."""

    def __init__(self, url: str) -> None:
        self.session = IngestSession(url, statement_timeout_seconds=10)
        self.metrics = Metrics()
        self.campaigns = CampaignCache()

    async def flush(self, callbacks: Sequence[Callback], *, token: UUID | None = None) -> list[str]:
        """Flush *callbacks* as one batch."""
        return await self.flush_records(
            [
                PendingRecord(record, PATH)
                for item in callbacks
                for record in translate(item.body, campaign_id=token).records
            ]
        )

    async def flush_records(self, batch: Sequence[PendingRecord]) -> list[str]:
        async with self.session.connected() as connection:
            flush = Flush(connection, batch, self.campaigns, self.metrics)
            return [
                "failed" if isinstance(receipt, Exception) else receipt.value
                for receipt in await flush.run()
            ]
