"""What every record is checked for before it is stored: erased recipients, removed messages."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from app.db.erasure.recipients import read_erased
from app.db.ingest import IngestConnection, stored_identities
from app.domain.campaign_progress import CampaignProgress
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Quarantined, Reason
from app.domain.retention import Horizons, Retention, is_expired, is_received_before
from app.routee.translate import Record
from app.services.callbacks.flush import PendingRecord, quarantined_record
from app.services.erasure.erased_recipients import ErasedRecipients

#: Larger bodies, of which no field is the recipient, are searched in a thread, and those that may
#: be compressed.
_MAX_BYTES_ON_LOOP: Final = 16 * 1024


class Screen:
    """Pseudonymises erased recipients, and quarantines what retention may have removed before."""

    def __init__(self, erased: ErasedRecipients, retention: Retention) -> None:
        self._erased = erased
        self._retention = retention

    def forget(self) -> None:
        """Have the erased recipients read again: it may be another database."""
        self._erased.forget()

    async def screened(
        self,
        connection: IngestConnection,
        batch: Sequence[PendingRecord],
        *,
        received_at: datetime | None = None,
    ) -> Sequence[PendingRecord]:
        """
        *batch* as it may be stored, received at *received_at* or else now.

        Raises:
            DatabaseUnavailable: the erased recipients cannot be read.
        """
        if self._erased.is_stale:
            asked_at = time.monotonic()
            read = await read_erased(connection, self._erased.version)
            self._erased.update(read, asked_at=asked_at)
        horizons = self._erased.horizons.or_later(self._retention, now=datetime.now(UTC))
        if any(horizons):
            batch = [_unless_expired(pending, horizons, received_at) for pending in batch]
        return await self._without_erased(connection, batch) if self._erased else batch

    async def _without_erased(
        self, connection: IngestConnection, batch: Sequence[PendingRecord]
    ) -> Sequence[PendingRecord]:
        screened = [await self._pseudonymised(pending) for pending in batch]
        pairs = enumerate(zip(batch, screened, strict=True))
        by_content = {
            index: before.record
            for index, (before, after) in pairs
            if after is not before and isinstance(before.record, InboundMessage | CampaignProgress)
        }
        if not by_content:
            return screened
        # A running erasure may not have changed the identity of a stored record yet. The same one
        # stored under its new identity would be a second row.
        identities = [record.identity for record in by_content.values()]
        stored = await stored_identities(connection, identities)
        for index, record in by_content.items():
            if record.identity in stored:
                screened[index] = screened[index]._replace(is_stored=True)
        return screened

    async def _pseudonymised(self, pending: PendingRecord) -> PendingRecord:
        record = pending.record
        try:
            if _is_slow_to_search(record):
                found = await asyncio.to_thread(self._erased.pseudonymised, record)
            else:
                found = self._erased.pseudonymised(record)
        except Exception as error:  # noqa: BLE001 (one record may not be stored, the others may)
            return pending._replace(failure=error)
        if found is None:
            return pending
        return pending._replace(record=found.record, sha256=found.sha256)


def _is_slow_to_search(record: Record | Quarantined) -> bool:
    """Whether more of *record* than its fields is searched, and this is large or compressed."""
    if isinstance(record, Quarantined):
        return len(record.body) > _MAX_BYTES_ON_LOOP or not record.body.isascii()
    return isinstance(record, CampaignProgress) and len(record.payload) > _MAX_BYTES_ON_LOOP


def _unless_expired(
    pending: PendingRecord, horizons: Horizons, received_at: datetime | None
) -> PendingRecord:
    record = pending.record
    try:
        if isinstance(record, Quarantined) or not _is_expired(record, horizons, received_at):
            return pending
    except Exception as error:  # noqa: BLE001 (one record may not be stored, the others may)
        return pending._replace(failure=error)
    return pending._replace(record=quarantined_record(pending, Reason.EXPIRED))


def _is_expired(record: Record, horizons: Horizons, received_at: datetime | None) -> bool:
    happened_at, horizon = _age_of(record, horizons)
    return is_expired(happened_at, horizon) or is_received_before(received_at, horizon)


def _age_of(record: Record, horizons: Horizons) -> tuple[datetime | None, datetime | None]:
    """When *record* happened, and the horizon of its kind."""
    if isinstance(record, DeliveryEvent):
        return record.occurred_at, horizons.events
    if isinstance(record, CampaignProgress):
        return record.reported_at, horizons.events
    return record.sent_at, horizons.inbound
