"""Replaying the quarantine: reading its bodies again, and storing what can be read by now."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from app.db.database import Database
from app.db.erasure.recipients import lacking_keys
from app.db.quarantine import (
    BodyPage,
    QuarantinedBody,
    QuarantineFilter,
    StoredOctets,
    find_octets,
    find_quarantined,
    note_replay,
    page_of_quarantine,
)
from app.domain.erasure import ErasureKeys
from app.domain.event import DeliveryEvent, Source
from app.domain.quarantine import Quarantined, Reason, ReplayOutcome, is_emptied
from app.errors import DatabaseUnavailable, ErasureNotConfigured, ReceiverError
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.routee.tracking import TRACKING_PATH
from app.services.callbacks.flush import PendingRecord, Receipt
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.storing import Outcome, Store, Stored

#: After this time a page of replays ends; another call goes on.
PAGE_SECONDS: Final = 5.0


class Verdict(NamedTuple):
    """What became of a replay, or would: the reason says why not everything is stored."""

    outcome: ReplayOutcome
    reason: Reason | None = None


class Replays:
    """
    Replays bodies of the quarantine, one at a time.

    A replay reads the bytes with the headers that were kept with them, and stores what they report
    as callbacks are stored, as received when the body first came. The body stays as it is and only
    says what became of it: nothing is quarantined again.
    """

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        database: Database,
        reader: Reader,
        store: Store,
        metrics: Metrics,
        *,
        erasure_keys: ErasureKeys,
        budget_seconds: float,
    ) -> None:
        self._database = database
        self._reader = reader
        self._store = store
        self._metrics = metrics
        self._erasure_keys = erasure_keys
        self._budget_seconds = budget_seconds
        self._turn = asyncio.Lock()

    async def replay(self, body_id: int) -> QuarantinedBody | None:
        """
        Replay one body, unless a replay has stored all of it before; None if there is none.

        Raises:
            ErasureNotConfigured: erased recipients would not be recognised.
            DatabaseUnavailable: not all of it is durable. Replaying it again completes it.
        """
        await self._require_erasure_keys()
        return await self._replay(body_id)

    async def replay_page(
        self,
        wanted: QuarantineFilter,
        *,
        after: int | None,
        limit: int,
        seconds: float = PAGE_SECONDS,
    ) -> BodyPage:
        """
        Replay at most *limit* bodies, in the order of their ids beyond *after*, for some *seconds*.

        Those of which a replay has stored everything are left out.

        Raises:
            ErasureNotConfigured: erased recipients would not be recognised.
            DatabaseUnavailable: some may have been replayed. Replaying them again completes it.
        """
        await self._require_erasure_keys()
        ends = time.monotonic() + seconds
        page = await page_of_quarantine(
            self._database, wanted._replace(is_unstored=True), after=after, limit=limit
        )
        replayed: list[QuarantinedBody] = []
        for body in page.bodies:
            if replayed and time.monotonic() >= ends:
                return BodyPage(replayed, replayed[-1].id)
            replayed.append(await self._replay(body.id) or body)
        return BodyPage(replayed, page.end)

    async def verdict_on(self, body_id: int) -> Verdict | None:
        """
        What a replay could store by what can be read, without storing anything; None without body.

        Whether it may be stored (its campaign, its age) only a replay finds out.
        """
        stored = await find_octets(self._database, body_id)
        if stored is None:
            return None
        if stored.replay_outcome == ReplayOutcome.STORED:
            return Verdict(ReplayOutcome.STORED)
        if is_emptied(stored.octets, stored.sha256):
            return Verdict(ReplayOutcome.ERASED)
        outcomes: list[Outcome] = []
        reasons: list[Reason] = []
        for piece in self._pieces_of(stored):
            for pending in piece:
                is_read = not isinstance(pending.record, Quarantined)
                outcomes.append(Receipt.STORED if is_read else Receipt.QUARANTINED)
                reasons += (
                    [pending.record.reason] if isinstance(pending.record, Quarantined) else []
                )
        return _verdict(outcomes, reasons)

    def forget(self) -> None:
        """Forget what the database said before: it may be another one."""
        self._store.forget()

    async def close(self) -> None:
        """End the connection."""
        await self._store.close()

    async def _require_erasure_keys(self) -> None:
        """A body can name an erased recipient in a way that only today's parser reads."""
        if await lacking_keys(self._database, self._erasure_keys.ids):
            raise ErasureNotConfigured(
                "Recipients were erased with keys that are missing from RECEIVER_ERASURE_KEYS (or "
                "RECEIVER_SIGNING_KEYS), so a replay would not recognise them. Put the keys back."
            )

    async def _replay(self, body_id: int) -> QuarantinedBody | None:
        async with self._turn:
            stored = await find_octets(self._database, body_id)
            if stored is None:
                return None
            if stored.replay_outcome == ReplayOutcome.STORED:
                return await find_quarantined(self._database, body_id)
            if is_emptied(stored.octets, stored.sha256):
                verdict = Verdict(ReplayOutcome.ERASED)
            else:
                verdict = await self._stored(stored)
            self._metrics.quarantine_replayed.labels(verdict.outcome.value).inc()
            return await note_replay(self._database, body_id, *verdict)

    async def _stored(self, stored: StoredOctets) -> Verdict:
        outcomes: list[Outcome] = []
        reasons: list[Reason] = []
        pieces = self._pieces_of(stored)
        try:
            while (piece := self._next_of(pieces)) is not None:
                became = await self._stored_in_time(piece, stored)
                outcomes += became.outcomes
                reasons += became.reasons
        except ReceiverError:
            raise
        except Exception as error:  # noqa: BLE001 (logged where it was met; it harms no other body)
            outcomes.append(error)
        return _verdict(outcomes, reasons)

    def _next_of(self, pieces: Iterator[Sequence[PendingRecord]]) -> Sequence[PendingRecord] | None:
        try:
            return next(pieces, None)
        except Exception as error:
            self._reader.note_failure(error)
            raise

    async def _stored_in_time(self, piece: Sequence[PendingRecord], stored: StoredOctets) -> Stored:
        """
        Store *piece* within the budget, so that no recipient is erased between check and commit.

        Raises:
            DatabaseUnavailable: not all of it is durable.
        """
        try:
            async with asyncio.timeout(self._budget_seconds):
                return await self._store.store_again(piece, received_at=stored.received_at)
        except TimeoutError as error:
            raise DatabaseUnavailable("A replay could not be stored in time.") from error

    def _pieces_of(self, stored: StoredOctets) -> Iterator[Sequence[PendingRecord]]:
        """What the body reports, a few milliseconds' work each."""
        content = Content(stored.content_type, stored.content_encoding)
        body = Body(stored.octets, stored.path, stored.campaign_id, content)
        for piece in self._reader.read_in_pieces(body):
            yield [_as_received(one, stored) for one in piece]


def _as_received(pending: PendingRecord, stored: StoredOctets) -> PendingRecord:
    """*pending* with what its payload does not say: where it came from, and as part of what."""
    record = pending.record
    if isinstance(record, Quarantined):
        return pending
    if stored.payload_reserialised:
        record = record._replace(payload_reserialised=True)
    if isinstance(record, DeliveryEvent) and stored.path == TRACKING_PATH:
        record = record._replace(source=Source.TRACKING)
    return pending._replace(record=record)


def _verdict(outcomes: Sequence[Outcome], reasons: Sequence[Reason]) -> Verdict:
    if any(isinstance(outcome, Exception) for outcome in outcomes):
        return Verdict(ReplayOutcome.FAILED)
    if not reasons:
        return Verdict(ReplayOutcome.STORED)
    is_any_stored = Receipt.STORED in outcomes
    outcome = ReplayOutcome.PARTLY_STORED if is_any_stored else ReplayOutcome.NOT_STORED
    return Verdict(outcome, reasons[0])
