"""What is looked for in every arrival before it is stored, when there is something to look for."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from app.db.ingest_session import IngestConnection
from app.domain.event import DeliveryEvent
from app.domain.quarantine import Quarantined, Reason, quarantined
from app.domain.retention import Retention, is_expired
from app.routee.translate import Record
from app.services.erased import ErasedRecipients
from app.services.flush import Arrival


class Screen:
    """Makes erased recipients unknown, and sets aside what may have been removed before."""

    def __init__(self, erased: ErasedRecipients | None, retention: Retention) -> None:
        self._erased = erased
        self._retention = retention
        self._has_horizon = retention.events is not None or retention.inbound is not None

    async def screened(
        self, connection: IngestConnection, arrivals: Sequence[Arrival]
    ) -> Sequence[Arrival]:
        """
        *arrivals* as they may be stored.

        Raises:
            DatabaseUnavailable: it is not known who was erased.
        """
        if self._erased is not None:
            if self._erased.is_stale:
                asked_at = time.monotonic()
                read = await connection.read_erased(self._erased.version)
                self._erased.learn(read, asked_at=asked_at)
            if self._erased:
                arrivals = [self._without_erased(arrival) for arrival in arrivals]
        if self._has_horizon:
            now = datetime.now(UTC)
            arrivals = [self._unless_expired(arrival, now) for arrival in arrivals]
        return arrivals

    def _without_erased(self, arrival: Arrival) -> Arrival:
        assert self._erased is not None  # noqa: S101 (for the type checker)
        record = self._erased.made_unknown(arrival.record)
        return arrival if record is arrival.record else arrival._replace(record=record)

    def _unless_expired(self, arrival: Arrival, now: datetime) -> Arrival:
        record = arrival.record
        if isinstance(record, Quarantined) or not self._is_expired(record, now):
            return arrival
        aside = quarantined(
            record.payload, Reason.EXPIRED, path=arrival.path, campaign_id=record.campaign_id
        )
        return arrival._replace(record=aside)

    def _is_expired(self, record: Record, now: datetime) -> bool:
        if isinstance(record, DeliveryEvent):
            return is_expired(record.occurred_at, self._retention.events, now=now)
        return is_expired(record.sent_at, self._retention.inbound, now=now)
