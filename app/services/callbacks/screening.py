"""What is looked for in every arrival before it is stored, when there is something to look for."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from app.db.ingest_session import IngestConnection
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Quarantined, Reason, quarantined
from app.domain.retention import Horizons, Retention, is_expired
from app.routee.translate import Record
from app.services.callbacks.flush import Arrival
from app.services.erasure.erased_recipients import ErasedRecipients

#: Larger bodies that nobody could read are searched beside the event loop.
_SEARCHED_AT_ONCE_BYTES: Final = 16 * 1024


class Screen:
    """Makes erased recipients unknown, and sets aside what may have been removed before."""

    def __init__(self, erased: ErasedRecipients, retention: Retention) -> None:
        self._erased = erased
        self._retention = retention

    async def screened(
        self, connection: IngestConnection, arrivals: Sequence[Arrival]
    ) -> Sequence[Arrival]:
        """
        *arrivals* as they may be stored.

        Raises:
            DatabaseUnavailable: it is not known who was erased.
        """
        if self._erased.is_stale:
            asked_at = time.monotonic()
            read = await connection.read_erased(self._erased.version)
            self._erased.learn(read, asked_at=asked_at)
        horizons = self._erased.horizons.or_later(self._retention, now=datetime.now(UTC))
        if any(horizons):
            arrivals = [_unless_expired(arrival, horizons) for arrival in arrivals]
        return await self._without_erased(connection, arrivals) if self._erased else arrivals

    async def _without_erased(
        self, connection: IngestConnection, arrivals: Sequence[Arrival]
    ) -> Sequence[Arrival]:
        screened = [await self._made_unknown(arrival) for arrival in arrivals]
        pairs = enumerate(zip(arrivals, screened, strict=True))
        replies = {
            place: before.record
            for place, (before, after) in pairs
            if after is not before and isinstance(before.record, InboundMessage)
        }
        if not replies:
            return screened
        # An erasure has yet to change its identity. Stored again by the former one it would be
        # doubled, should that be changed between the two.
        stored = await connection.stored_replies([reply.identity for reply in replies.values()])
        for place, reply in replies.items():
            if reply.identity in stored:
                screened[place] = screened[place]._replace(is_stored=True)
        return screened

    async def _made_unknown(self, arrival: Arrival) -> Arrival:
        record = arrival.record
        if isinstance(record, Quarantined) and len(record.body) > _SEARCHED_AT_ONCE_BYTES:
            unknown = await asyncio.to_thread(self._erased.made_unknown, record)
        else:
            unknown = self._erased.made_unknown(record)
        if unknown is None:
            return arrival
        return arrival._replace(record=unknown.record, sha256=unknown.sha256)


def _unless_expired(arrival: Arrival, horizons: Horizons) -> Arrival:
    record = arrival.record
    if isinstance(record, Quarantined) or not _is_expired(record, horizons):
        return arrival
    aside = quarantined(
        record.payload, Reason.EXPIRED, path=arrival.path, campaign_id=record.campaign_id
    )
    return arrival._replace(record=aside)


def _is_expired(record: Record, horizons: Horizons) -> bool:
    if isinstance(record, DeliveryEvent):
        return is_expired(record.occurred_at, horizons.events)
    return is_expired(record.sent_at, horizons.inbound)
