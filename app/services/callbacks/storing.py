"""Makes records durable: what the callback path, and everything that stores beside it, shares."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.db.ingest import IngestConnection, IngestSession
from app.domain.quarantine import Reason
from app.observability.metrics import Metrics
from app.services.callbacks.flush import CampaignCache, Flush, PendingRecord, Receipt
from app.services.callbacks.flush_notes import FlushNotes
from app.services.callbacks.screening import Screen
from app.services.readiness import FlushRecord

#: What a flush says of a record: an exception if it is not durable although others are.
Outcome = Receipt | Exception


class Stored(NamedTuple):
    """What became of a batch."""

    #: One for each record.
    outcomes: Sequence[Outcome]
    #: Why the records with `Receipt.QUARANTINED` were not stored.
    reasons: Sequence[Reason]


class Store:
    """Screens batches of records and flushes them, each on a connection of *session*."""

    def __init__(
        self,
        session: IngestSession,
        metrics: Metrics,
        *,
        screen: Screen | None = None,
        flushes: FlushRecord | None = None,
    ) -> None:
        self._session = session
        self._metrics = metrics
        self._screen = screen
        self._notes = FlushNotes(metrics, flushes)
        self._campaigns = CampaignCache()
        #: The connection through which that is known.
        self._known_through: IngestConnection | None = None

    async def store(
        self, batch: Sequence[PendingRecord], *, received_at: datetime | None = None
    ) -> Sequence[Outcome]:
        """
        Make *batch* durable, received at *received_at* or else now; one outcome for each record.

        Raises:
            DatabaseUnavailable: not all of it is durable. What is durable already is deduplicated
                when it is stored again.
        """
        stored = await self._stored(batch, received_at=received_at, is_replay=False)
        return stored.outcomes

    async def store_again(
        self, batch: Sequence[PendingRecord], *, received_at: datetime | None
    ) -> Stored:
        """
        As `store`, for a *batch* from the quarantine: what is quarantined is there already.

        Raises:
            DatabaseUnavailable: not all of it is durable.
        """
        return await self._stored(batch, received_at=received_at, is_replay=True)

    async def _stored(
        self, batch: Sequence[PendingRecord], *, received_at: datetime | None, is_replay: bool
    ) -> Stored:
        with self._notes.noted(len(batch)):
            async with self._session.connected() as connection:
                campaigns = self._known_by(connection)
                if self._screen is not None:
                    batch = await self._screen.screened(connection, batch, received_at=received_at)
                flush = Flush(
                    connection,
                    batch,
                    campaigns,
                    self._metrics,
                    received_at=received_at,
                    is_replay=is_replay,
                )
                outcomes = await flush.run()
        return Stored(outcomes, flush.reasons)

    def forget(self) -> None:
        """Forget what the database said before: it may be another one."""
        self._campaigns = self._campaigns.anew()

    async def close(self) -> None:
        """End the connection."""
        await self._session.close()

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
