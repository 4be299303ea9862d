"""Storing what a tracking read reports, through the same ingest as a callback."""

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from app.db.database import Database
from app.db.reconcile import stored_identities
from app.domain.event import DeliveryEvent
from app.domain.reconcile import aligned
from app.kit.slices import Slices
from app.routee.tracking import TRACKING_PATH, Unusable, read_item
from app.services.callbacks.flush import PendingRecord, Receipt
from app.services.callbacks.storing import Store

_BATCH_ITEMS: Final = 256


class Comparison:
    """
    Compares items of tracking reads with what is stored, and stores what is missing.

    With *store* None it only counts what is missing.
    """

    def __init__(self, database: Database, store: Store | None, slices: Slices) -> None:
        self._database = database
        self._store = store
        self._slices = slices
        #: How long the last batch took.
        self.store_seconds = 0.0

    async def compare(
        self,
        items: Sequence[object],
        *,
        message_tracking_id: str | None = None,
        campaign_tracking_id: str | None = None,
        campaign_id: UUID | None = None,
    ) -> Counter[str]:
        """
        Store the events of *items*, see `read_item`; how many of each kind there were.

        `messages` is all of them, of which `missing` were not stored before, `foreign` are of
        another message or campaign, and `unreadable` are no statuses of messages. `quarantined` are
        in the quarantine instead, and `failed` met an unforeseen error, see `Flush`.

        Raises:
            DatabaseUnavailable: not all of it is durable. Comparing it again is harmless.
        """
        read_one = partial(
            read_item,
            message_tracking_id=message_tracking_id,
            campaign_tracking_id=campaign_tracking_id,
            campaign_id=campaign_id,
        )
        read = await self._slices.mapped(read_one, items)
        events = [one for one in read if not isinstance(one, Unusable)]
        counts = Counter(
            messages=len(items),
            foreign=read.count(Unusable.FOREIGN),
            unreadable=read.count(Unusable.UNREADABLE),
        )
        for at in range(0, len(events), _BATCH_ITEMS):
            counts.update(await self._compared(events[at : at + _BATCH_ITEMS]))
        return counts

    async def _compared(self, events: Sequence[DeliveryEvent]) -> Counter[str]:
        stored = await stored_identities(self._database, events)
        same = [aligned(event, stored.get(event[:2], set())) for event in events]
        fresh = {event.identity for event in same} - {
            identity for identities in stored.values() for identity in identities
        }
        counts = Counter(missing=len(fresh))
        if self._store is not None:
            began = time.perf_counter()
            outcomes = await self._store.store(
                [PendingRecord(event, TRACKING_PATH) for event in same]
            )
            self.store_seconds = time.perf_counter() - began
            counts["quarantined"] = list(outcomes).count(Receipt.QUARANTINED)
            counts["failed"] = sum(isinstance(outcome, Exception) for outcome in outcomes)
        return counts
