"""How one batch becomes durable: what is believed, what is set aside, what is repeated."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import structlog

from app.db.ingest_session import Appended, Claim, Contended, IngestConnection, ValuesRefused
from app.domain.event import DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.quarantine import Quarantined, Reason, quarantined
from app.errors import DatabaseUnavailable
from app.kit.lru_cache import LruCache
from app.observability.metrics import Metrics
from app.routee.translate import Record

log = structlog.get_logger()

#: Campaigns of which a process remembers that the database knows them.
MAX_REMEMBERED_CAMPAIGNS: Final = 100_000


class Receipt(StrEnum):
    """What became of a request body. Either way it is durable."""

    STORED = "stored"
    QUARANTINED = "quarantined"


class Arrival(NamedTuple):
    """One record that waits for its commit."""

    record: Record | Quarantined
    #: Where it was posted to, without the token.
    path: str
    #: Of the body, should the record be set aside, when its own bytes may not be kept.
    sha256: bytes | None = None
    #: It came again, and is not to be stored once more.
    is_stored: bool = False


#: The campaign of a token, and the trackingId named through it.
Claimed = tuple[UUID, str]


class KnownCampaigns:
    """What need not be asked again about the campaigns that callbacks name."""

    def __init__(self) -> None:
        #: Trackings ids that have a row.
        self.observed: LruCache[str, bool] = LruCache(MAX_REMEMBERED_CAMPAIGNS)
        #: What a named campaign is to the campaign of the token. A copy may turn out to be a
        #: campaign of ours later, so that answer is not kept.
        self.claims: LruCache[Claimed, Claim] = LruCache(MAX_REMEMBERED_CAMPAIGNS)
        #: The copies that were warned of.
        self.copies: LruCache[Claimed, bool] = LruCache(MAX_REMEMBERED_CAMPAIGNS)


T = TypeVar("T")
R = TypeVar("R", DeliveryEvent, InboundMessage)
#: Records of one kind, each with its place in the batch.
Placed = list[tuple[int, R]]


class Flush:
    """Makes one batch durable on one connection."""

    def __init__(
        self,
        connection: IngestConnection,
        arrivals: Sequence[Arrival],
        campaigns: KnownCampaigns,
        metrics: Metrics,
    ) -> None:
        self._connection = connection
        self._arrivals = arrivals
        self._campaigns = campaigns
        self._metrics = metrics
        self._copies: set[Claimed] = set()
        self._receipts = [Receipt.STORED] * len(arrivals)
        self._aside: list[Quarantined] = []

    async def run(self) -> list[Receipt]:
        """
        Store everything, set aside what must be, and say which is which.

        Raises:
            DatabaseUnavailable: not all of it is durable. What is, is absorbed when it comes again.
        """
        await self._observe_together()
        events: Placed[DeliveryEvent] = []
        replies: Placed[InboundMessage] = []
        for place, (record, _, _, is_stored) in enumerate(self._arrivals):
            if is_stored:
                continue
            if isinstance(record, Quarantined):
                self._set_aside(place, record)
            elif not self._is_known(record) and (fault := await self._find_fault(record)):
                self._distrust(place, record, fault)
            elif isinstance(record, DeliveryEvent):
                events.append((place, record))
            else:
                replies.append((place, record))
        await self._append_events(events)
        await self._append("inbound", self._connection.append_inbound, replies)
        await self._append_aside()
        return self._receipts

    async def _observe_together(self) -> None:
        """Make sure that each campaign named through no campaign's token has a row."""
        named = {
            record.campaign_tracking_id
            for record, *_ in self._arrivals
            if not isinstance(record, Quarantined)
            and record.campaign_id is None
            and record.campaign_tracking_id is not None
        }
        with suppress(ValuesRefused):  # then each is tried alone
            await self._observe(named)

    async def _observe(self, named: Collection[str]) -> None:
        known = self._campaigns.observed
        unknown = [name for name in named if known.find(name) is None]
        if unknown:
            await _repeated_once(lambda: self._connection.observe(unknown))
            for name in unknown:
                known.put(name, value=True)

    def _is_known(self, record: Record) -> bool:
        """Whether it names a campaign that it may name, or none; the usual case, and cheap."""
        named = record.campaign_tracking_id
        if named is None:
            return True
        if record.campaign_id is None:
            return self._campaigns.observed.find(named) is not None
        return self._campaigns.claims.find((record.campaign_id, named)) is Claim.OWN

    async def _find_fault(self, record: Record) -> Reason | None:
        """Why *record* may not be stored with the campaign that it names; None: it may."""
        if record.campaign_tracking_id is None:
            return None
        try:
            if record.campaign_id is None:
                await self._observe([record.campaign_tracking_id])
                return None
            claimed = (record.campaign_id, record.campaign_tracking_id)
            return Reason.CAMPAIGN_MISMATCH if await self._is_foreign(claimed) else None
        except ValuesRefused as error:
            log.warning("the database refused the campaign of a callback", error=str(error))
            return Reason.REFUSED_BY_DATABASE

    async def _is_foreign(self, claimed: Claimed) -> bool:
        """Whether another campaign of ours than the token's is named."""
        if claimed in self._copies:
            return False
        claim = self._campaigns.claims.find(claimed)
        if claim is None:
            claim = await _repeated_once(lambda: self._connection.claim(*claimed))
            self._remember(claimed, claim)
        return claim is Claim.FOREIGN

    def _remember(self, claimed: Claimed, claim: Claim) -> None:
        if claim is not Claim.COPY:
            self._campaigns.claims.put(claimed, claim)
            return
        self._copies.add(claimed)
        if self._campaigns.copies.find(claimed) is None:
            self._campaigns.copies.put(claimed, value=True)
            self._warn_of_copy(*claimed)

    def _warn_of_copy(self, campaign_id: UUID, tracking_id: str) -> None:
        self._metrics.campaign_copies.inc()
        log.warning(
            "another campaign uses this campaign's callback URL: was it copied in the console?",
            campaign_id=str(campaign_id),
            campaign_tracking_id=tracking_id,
        )

    async def _append_events(self, events: Placed[DeliveryEvent]) -> None:
        while events:
            now, events = _of_one_origin(events)
            await self._append("event", self._connection.append_events, now)

    async def _append(
        self,
        kind: str,
        append: Callable[[Sequence[R]], Awaitable[Appended]],
        placed: Placed[R],
    ) -> None:
        """Append all of *placed*; a poison one is found by bisection and set aside."""
        if not placed:
            return
        try:
            records = [record for _, record in placed]
            appended = await _repeated_once(lambda: append(records))
        except ValuesRefused as error:
            await self._isolate(kind, append, placed, error)
            return
        for at in appended.foreign:
            self._distrust(*placed[at], Reason.CAMPAIGN_MISMATCH)
        self._count(kind, len(placed), appended)

    async def _isolate(
        self,
        kind: str,
        append: Callable[[Sequence[R]], Awaitable[Appended]],
        placed: Placed[R],
        error: ValuesRefused,
    ) -> None:
        if len(placed) == 1:
            log.warning("the database refused the values of a callback", error=str(error))
            self._distrust(*placed[0], Reason.REFUSED_BY_DATABASE)
            return
        middle = len(placed) // 2
        await self._append(kind, append, placed[:middle])
        await self._append(kind, append, placed[middle:])

    def _count(self, kind: str, offered: int, appended: Appended) -> None:
        duplicates = offered - appended.fresh - len(appended.foreign)
        self._metrics.records.labels(kind, "fresh").inc(appended.fresh)
        self._metrics.records.labels(kind, "duplicate").inc(duplicates)

    def _distrust(self, place: int, record: Record, reason: Reason) -> None:
        _, path, sha256, _ = self._arrivals[place]
        body = quarantined(record.payload, reason, path=path, campaign_id=record.campaign_id)
        self._set_aside(place, body if sha256 is None else body._replace(sha256=sha256))

    def _set_aside(self, place: int, body: Quarantined) -> None:
        self._receipts[place] = Receipt.QUARANTINED
        self._aside.append(body)

    async def _append_aside(self) -> None:
        if not self._aside:
            return
        try:
            await _repeated_once(lambda: self._connection.append_quarantined(self._aside))
        except ValuesRefused as error:  # there is no other place where it could be kept
            raise DatabaseUnavailable(str(error)) from error
        for body in self._aside:
            self._metrics.quarantined.labels(body.reason.value).inc()


def _of_one_origin(
    events: Placed[DeliveryEvent],
) -> tuple[Placed[DeliveryEvent], Placed[DeliveryEvent]]:
    """
    Put off the events of messages of which an event came through another token.

    What one of them may say depends on what the other has stored.
    """
    origins: dict[str, UUID | None] = {}
    now: Placed[DeliveryEvent] = []
    later: Placed[DeliveryEvent] = []
    for placed in events:
        _, event = placed
        origin = origins.setdefault(event.message_tracking_id, event.campaign_id)
        (now if origin == event.campaign_id else later).append(placed)
    return now, later


async def _repeated_once(do: Callable[[], Awaitable[T]]) -> T:
    try:
        return await do()
    except Contended:
        pass
    try:
        return await do()
    except Contended as error:
        raise DatabaseUnavailable(str(error)) from error
