"""How one batch becomes durable: what is stored, what is quarantined, what is tried again."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import structlog

from app.db import ingest
from app.db.failures import Contended, ValuesRefused
from app.db.ingest import Appended, IngestConnection
from app.db.launching.binding import Claim, observe
from app.db.launching.binding import claim as claim_campaign
from app.domain.campaign_progress import CampaignProgress
from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Quarantined, Reason, quarantined
from app.errors import DatabaseUnavailable, ReceiverError
from app.kit.log_limiter import LogLimiter
from app.kit.lru_cache import LruCache
from app.observability.metrics import Metrics
from app.routee.translate import Record

log = structlog.get_logger()

#: Each callback may meet the same.
_failures: Final = LogLimiter(1.0)
_refusals: Final = LogLimiter(1.0)
MAX_CACHED_CAMPAIGNS: Final = 100_000


class Receipt(StrEnum):
    """What became of a request body. Either way it is durable."""

    STORED = "stored"
    QUARANTINED = "quarantined"
    #: It is in the buffer, and not yet in the database.
    BUFFERED = "buffered"


class PendingRecord(NamedTuple):
    """One record that waits for its commit."""

    record: Record | Quarantined
    #: The path that it was posted to, without the token.
    path: str
    #: The digest under which the record is quarantined; None for that of its payload.
    sha256: bytes | None = None
    #: Whether a row of it exists already, so that it must not be stored again.
    is_stored: bool = False
    #: The unforeseen error for which it may not be stored now; its body is to be repeated.
    failure: Exception | None = None
    #: The header that says how its payload is to be read, if that is not UTF-8.
    content_type: str = ""


def quarantined_record(pending: PendingRecord, reason: Reason) -> Quarantined:
    """The record of *pending*, which is not quarantined yet, as it goes to the quarantine."""
    record = pending.record
    if isinstance(record, Quarantined):
        return record
    body = quarantined(
        record.payload,
        reason,
        path=pending.path,
        campaign_id=record.campaign_id,
        content_type=pending.content_type if record.payload else "",
        payload_reserialised=record.payload_reserialised,
    )
    return body if pending.sha256 is None else body._replace(sha256=pending.sha256)


#: The campaign of a token, and the trackingId that a callback through this token names.
ClaimKey = tuple[UUID, str]


class CampaignCache:
    """
    What a process knows about the campaigns that callbacks name, so as not to ask again.

    It holds for one connection: the next one may lead to a database that lacks some of it.
    """

    def __init__(self) -> None:
        #: TrackingIds that have a row.
        self.observed: LruCache[str, bool] = LruCache(MAX_CACHED_CAMPAIGNS)
        #: Claims that are `Claim.OWN`. Others may turn out to be that later, by Routee's answer.
        self.owned: LruCache[ClaimKey, bool] = LruCache(MAX_CACHED_CAMPAIGNS)
        #: Copies that a warning was logged for.
        self.warned: LruCache[ClaimKey, bool] = LruCache(MAX_CACHED_CAMPAIGNS)

    def anew(self) -> "CampaignCache":
        """A cache that knows nothing of the database, and what was warned of already."""
        cache = CampaignCache()
        cache.warned = self.warned
        return cache


T = TypeVar("T")
R = TypeVar("R", DeliveryEvent, InboundMessage, CampaignProgress)
#: Records of one kind, each with its index in the batch.
Indexed = list[tuple[int, R]]


class Flush:
    """Makes one batch durable on one connection."""

    def __init__(  # noqa: PLR0913 (all that is known of a batch)
        self,
        connection: IngestConnection,
        batch: Sequence[PendingRecord],
        campaigns: CampaignCache,
        metrics: Metrics,
        *,
        received_at: datetime | None = None,
        is_replay: bool = False,
    ) -> None:
        self._received_at = received_at
        #: Whether the records come from the quarantine, to which nothing is added then.
        self._is_replay = is_replay
        self._connection = connection
        self._batch = batch
        self._campaigns = campaigns
        self._metrics = metrics
        #: Claims of this batch that are not owned.
        self._claims: dict[ClaimKey, Claim] = {}
        self._receipts: list[Receipt | Exception] = [Receipt.STORED] * len(batch)
        self._quarantined: list[Quarantined] = []

    @property
    def reasons(self) -> list[Reason]:
        """Why records were quarantined: one reason for each of them."""
        return [body.reason for body in self._quarantined]

    async def run(self) -> list[Receipt | Exception]:
        """
        Store or quarantine every record, and return one receipt for each.

        A record that meets an unforeseen error, alone of its batch, has that instead: it is not
        durable.

        Raises:
            DatabaseUnavailable: not all of it is durable. What is durable already is deduplicated
                when it is sent again.
        """
        await self._observe_together()
        events: Indexed[DeliveryEvent] = []
        replies: Indexed[InboundMessage] = []
        progress: Indexed[CampaignProgress] = []
        for index, (record, _, _, is_stored, failure, _) in enumerate(self._batch):
            if failure is not None:
                self._fail(index, failure, step="screen")
            elif is_stored:
                continue
            elif isinstance(record, Quarantined):
                self._quarantine(index, record)
            elif not self._is_accepted(record) and (reason := await self._find_objection(record)):
                self._quarantine_record(index, reason)
            elif isinstance(record, DeliveryEvent):
                events.append((index, record))
            elif isinstance(record, InboundMessage):
                replies.append((index, record))
            else:
                progress.append((index, record))
        await self._append_events(events)
        await self._append("inbound", ingest.append_inbound, replies)
        await self._append("campaign-progress", ingest.append_progress, progress)
        await self._append_quarantined()
        return self._receipts

    async def _observe_together(self) -> None:
        """
        Make sure that each campaign named through a shared callback secret has a row.

        Without those that a token names too: who comes first in the batch makes these known.
        """
        named = {
            record.campaign_tracking_id
            for record, *_ in self._batch
            if not isinstance(record, Quarantined)
            and record.campaign_id is None
            and record.campaign_tracking_id is not None
        }
        unknown = {name for name in named if self._campaigns.observed.find(name) is None}
        if not unknown:
            return
        through_tokens = {
            record.campaign_tracking_id
            for record, *_ in self._batch
            if not isinstance(record, Quarantined) and record.campaign_id is not None
        }
        with suppress(ValuesRefused):  # each is tried alone then
            await self._observe(unknown - through_tokens)

    async def _observe(self, named: Collection[str]) -> None:
        observed = self._campaigns.observed
        unknown = [name for name in named if observed.find(name) is None]
        if unknown:
            await _with_one_retry(lambda: observe(self._connection, unknown))
            for name in unknown:
                observed.put(name, value=True)

    def _is_accepted(self, record: Record) -> bool:
        """Whether the cache says that the record may name its campaign: the usual case."""
        named = record.campaign_tracking_id
        if named is None:
            return True
        if record.campaign_id is None:
            return self._campaigns.observed.find(named) is not None
        return self._campaigns.owned.find((record.campaign_id, named)) is not None

    async def _find_objection(self, record: Record) -> Reason | None:
        """Why *record* may not be stored with the campaign that it names; None if it may."""
        if record.campaign_tracking_id is None:
            return None
        try:
            if record.campaign_id is None:
                await self._observe([record.campaign_tracking_id])
                return None
            key = (record.campaign_id, record.campaign_tracking_id)
            return Reason.CAMPAIGN_MISMATCH if await self._is_foreign(key) else None
        except ValuesRefused as error:
            log.warning("the database refused the campaign of a callback", error=str(error))
            return Reason.REFUSED_BY_DATABASE

    async def _is_foreign(self, key: ClaimKey) -> bool:
        """Whether the trackingId is not that of the token's campaign, nor of a copy of it."""
        claim = self._claims.get(key)
        if claim is None:
            claim = await _with_one_retry(lambda: claim_campaign(self._connection, *key))
            self._note_claim(key, claim)
        return claim is Claim.FOREIGN

    def _note_claim(self, key: ClaimKey, claim: Claim) -> None:
        if claim is Claim.OWN:
            self._campaigns.owned.put(key, value=True)
            return
        self._claims[key] = claim
        if claim is Claim.COPY and self._campaigns.warned.find(key) is None:
            self._campaigns.warned.put(key, value=True)
            self._metrics.campaign_copies.inc()
            log.warning(
                "another campaign uses this campaign's callback URL: was it copied in the console?",
                campaign_id=str(key[0]),
                campaign_tracking_id=key[1],
            )

    async def _append_events(self, events: Indexed[DeliveryEvent]) -> None:
        reported = events
        while events:
            first, events = _split_by_origin(events)
            await self._append("event", ingest.append_events, first)
        if not self._is_replay:
            self._note_times(reported)

    def _note_times(self, reported: Indexed[DeliveryEvent]) -> None:
        now = datetime.now(UTC)
        happened = (event.occurred_at for _, event in reported)
        self._metrics.note_lags(
            [(now - at).total_seconds() for at in happened if at > UNKNOWN_TIME]
        )

    async def _append(
        self,
        kind: str,
        append: Callable[[IngestConnection, Sequence[R], datetime | None], Awaitable[Appended]],
        indexed: Indexed[R],
    ) -> None:
        """
        Append all records; one that the database refuses is found by bisection.

        So is one that meets an unforeseen error, which does not blame it.
        """
        if not indexed:
            return
        try:
            records = [record for _, record in indexed]
            appended = await _with_one_retry(
                lambda: append(self._connection, records, self._received_at)
            )
        except Exception as error:
            if isinstance(error, ReceiverError) and not isinstance(error, ValuesRefused):
                raise
            if len(indexed) > 1:
                middle = len(indexed) // 2
                await self._append(kind, append, indexed[:middle])
                await self._append(kind, append, indexed[middle:])
            elif isinstance(error, ValuesRefused):
                if times := _refusals.due():
                    log.warning(
                        "the database refused the values of a callback",
                        error=str(error),
                        times=times,
                    )
                self._quarantine_record(indexed[0][0], Reason.REFUSED_BY_DATABASE)
            else:
                self._fail(indexed[0][0], error, step="store")
            return
        for at in appended.foreign:
            self._quarantine_record(indexed[at][0], Reason.CAMPAIGN_MISMATCH)
        duplicates = len(indexed) - appended.fresh - len(appended.foreign)
        self._metrics.records.labels(kind, "fresh").inc(appended.fresh)
        self._metrics.records.labels(kind, "duplicate").inc(duplicates)

    def _fail(self, index: int, error: Exception, *, step: str) -> None:
        self._receipts[index] = error
        self._metrics.records_failed.labels(step).inc()
        if times := _failures.due():
            log.error("a record could not be stored", step=step, times=times, exc_info=error)

    def _quarantine_record(self, index: int, reason: Reason) -> None:
        self._quarantine(index, quarantined_record(self._batch[index], reason))

    def _quarantine(self, index: int, body: Quarantined) -> None:
        self._receipts[index] = Receipt.QUARANTINED
        self._quarantined.append(body)

    async def _append_quarantined(self) -> None:
        if self._is_replay or not self._quarantined:
            return
        try:
            await _with_one_retry(
                lambda: ingest.append_quarantined(
                    self._connection, self._quarantined, self._received_at
                )
            )
        except ValuesRefused as error:  # nothing is left that could store it
            raise DatabaseUnavailable(str(error)) from error
        for body in self._quarantined:
            self._metrics.quarantined.labels(body.reason.value).inc()


def _split_by_origin(
    events: Indexed[DeliveryEvent],
) -> tuple[Indexed[DeliveryEvent], Indexed[DeliveryEvent]]:
    """
    The events to append first, and those to append after them.

    Events of one message that came through different tokens are appended one token after another:
    whether a token may report a message depends on what is stored of this message.
    """
    origins: dict[str, UUID | None] = {}
    first: Indexed[DeliveryEvent] = []
    later: Indexed[DeliveryEvent] = []
    for index, event in events:
        origin = origins.setdefault(event.message_tracking_id, event.campaign_id)
        (first if origin == event.campaign_id else later).append((index, event))
    return first, later


async def _with_one_retry(do: Callable[[], Awaitable[T]]) -> T:
    try:
        return await do()
    except Contended:
        pass
    try:
        return await do()
    except Contended as error:
        raise DatabaseUnavailable(str(error)) from error
