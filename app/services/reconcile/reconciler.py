"""
Reconciling: campaigns without all final statuses are compared with Routee's tracking.

What Routee does not know either stays as it is. No status is ever concluded from a missing answer.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from app.db import reconcile as work
from app.db.campaigns import find_campaign
from app.db.database import Database
from app.db.ingest import IngestSession
from app.db.reconcile import Reconciliation
from app.db.retention.runs import exclusive, long_work
from app.domain.finishing import SENT
from app.domain.reconcile import SEARCH_BACK, Outcome, pause_after
from app.errors import (
    CampaignNotLaunched,
    DatabaseUnavailable,
    NotFound,
    ReconcilingNotConfigured,
)
from app.kit.slices import Slices
from app.observability.metrics import Metrics
from app.routee.client import RouteeClient
from app.services.callbacks.screening import Screen
from app.services.callbacks.storing import Store
from app.services.reconcile.asking import Postponed, Tracking
from app.services.reconcile.comparison import Comparison
from app.services.reconcile.pages import CampaignPages
from app.services.reconcile.unbound import compare_unbound, next_unbound, peeked_id

log = structlog.get_logger()

#: Any number, as long as no other program in the same database uses it.
RECONCILE_LOCK: Final = 7_021_012
#: How many campaigns, and how many messages without one, a run compares; the next run goes on.
_MAX_CAMPAIGNS: Final = 100
_MAX_MESSAGES: Final = 100
#: After so many runs in a row that Routee did not answer, a campaign has to wait like others.
_MAX_FAILURES: Final = 5
_STATEMENT_SECONDS: Final = 5.0
#: How often the duty searches for what is due.
_SEARCH_SECONDS: Final = 60.0

Say = Callable[[str], object]
#: Whether callbacks are behind.
IsBehind = Callable[[], bool]


def _never() -> bool:
    return False


class Reconciler:
    """
    Compares campaigns in the database of *url* with Routee's tracking, one process at a time.

    Args:
        url: of the database, for connections that last as long as a run.
        client: repeats nothing itself, see `Tracking`.
        metrics: of the process.
        screen: what every record is checked for before it is stored.
        per_second: how many requests Routee gets.
        missing_settings: the names of settings without which Routee cannot be asked.
        slow_seconds: nothing is asked after storing took so long: callbacks store there too.
        say: gets sentences about the progress.
    """

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        url: str,
        client: RouteeClient,
        metrics: Metrics,
        screen: Screen,
        *,
        per_second: float,
        missing_settings: tuple[str, ...] = (),
        slow_seconds: float = float("inf"),
        slices: Slices | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self._url = url
        self._client = client
        self._metrics = metrics
        self._screen = screen
        self._per_second = per_second
        self.missing_settings = missing_settings
        self._slow_seconds = slow_seconds
        self._slices = slices or Slices()
        self._say = say
        self._searched_at = -_SEARCH_SECONDS
        #: The message up to which those without a campaign were asked for.
        self._asked_upto = ""

    def require_configured(self) -> None:
        """
        Check that Routee can be asked.

        Raises:
            ReconcilingNotConfigured: settings are missing.
        """
        if self.missing_settings:
            raise ReconcilingNotConfigured(f"Not set: {', '.join(self.missing_settings)}.")

    async def ask(self, database: Database, tracking_id: str, *, asked_by: str) -> Reconciliation:
        """
        Store that the campaign of that trackingId, or id of ours, is to be compared.

        Raises:
            ReconcilingNotConfigured: settings are missing.
            NotFound: there is no such campaign.
            CampaignNotLaunched: Routee has not accepted it.
        """
        self.require_configured()
        campaign = await find_campaign(database, tracking_id)
        if campaign is None:
            raise NotFound(f"There is no campaign {tracking_id!r}.")
        if campaign.submission not in SENT:
            raise CampaignNotLaunched(f"It is {campaign.submission}: Routee has no messages of it.")
        await work.ask_for(database, [campaign.id], asked_by=asked_by)
        found = await work.find_reconciliation(database, campaign.id)
        if found is None:
            raise NotFound(f"There is no campaign {tracking_id!r}.")
        return found

    async def perform(self, database: Database, *, is_behind: IsBehind = _never) -> None:
        """
        The duty: search for what is due once a minute, and compare what is due or asked for.

        *database* is only asked whether there is anything to do. While callbacks are behind,
        Routee is not asked.

        Raises:
            DatabaseUnavailable: it was interrupted; the next call goes on.
        """
        if is_behind():
            return
        is_time = time.monotonic() - self._searched_at >= _SEARCH_SECONDS
        if not is_time and not await work.count_open(database):
            return
        if await work.paused_seconds(database) > 0:
            return
        with suppress(Postponed):  # it is logged, and the pause is stored
            await self.run(search=is_time, is_behind=is_behind)
            if is_time:
                self._searched_at = time.monotonic()

    async def find_due(self, *, since: datetime | None = None) -> list[UUID]:
        """
        The campaigns that are due; with *since* all since then.

        Raises:
            DatabaseUnavailable: they cannot be read.
        """
        async with long_work(self._url, name="reconcile") as database:
            return await _due(database, since)

    async def run(self, *, search: bool = False, is_behind: IsBehind = _never) -> bool:
        """
        Compare what is open; with *search* what is found to be due now, and loose messages too.

        Returns:
            False if another process is at it.

        Raises:
            Postponed: Routee does not answer, or callbacks are behind. The next run goes on.
            DatabaseUnavailable: it was interrupted. The next run goes on.
        """
        async with self._alone() as database:
            if database is None:
                return False
            async with self._comparing(database, is_behind=is_behind) as (tracking, comparison):
                try:
                    if search:
                        await work.ask_for(database, await _due(database, None), asked_by=None)
                        await work.drop_orphans(database)
                    await self._compare_open(database, tracking, comparison)
                    if search:
                        await self._compare_loose(database, tracking, comparison)
                except Postponed as error:
                    log.warning("reconciling postponed", error=str(error), seconds=error.seconds)
                    await work.pause(database, error.seconds)
                    raise
        return True

    async def preview(self, campaigns: list[UUID]) -> list[tuple[UUID, Outcome, Counter[str]]]:
        """
        What comparing *campaigns* would find. Routee is asked, and nothing is written.

        Raises:
            Postponed: Routee does not answer.
            DatabaseUnavailable: the database cannot be read, or another process is comparing.
        """
        found = []
        async with self._alone() as database:
            if database is None:
                raise DatabaseUnavailable("Another process is reconciling at the moment.")
            await _require_unpaused(database)
            async with self._comparing(database, dry_run=True) as (tracking, comparison):
                for campaign_id in campaigns:
                    campaign = await find_campaign(database, str(campaign_id))
                    if campaign is None:
                        continue
                    counts: Counter[str] = Counter()
                    outcome = Outcome.NO_ID
                    tracking_id = campaign.tracking_id or await peeked_id(
                        database, campaign_id, tracking
                    )
                    if tracking_id is not None:
                        run = CampaignPages(
                            campaign_id, tracking_id, campaign.submission, 0, counts
                        )
                        outcome = await run.compare(tracking, comparison, note=None)
                    found.append((campaign_id, outcome, counts))
        return found

    async def compare_message(self, tracking_id: str, *, dry_run: bool = False) -> Counter[str]:
        """
        Compare one message, known here or not.

        Raises:
            RouteeRefused: with 404, Routee does not know it.
            RouteeUnavailable: Routee gave no usable answer.
            Postponed: Routee does not answer.
            DatabaseUnavailable: it may not be stored.
        """
        async with (
            long_work(self._url, name="reconcile") as database,
            self._comparing(database, dry_run=dry_run) as (tracking, comparison),
        ):
            await _require_unpaused(database)
            item = await tracking.message(tracking_id)
            return await comparison.compare([item], message_tracking_id=tracking_id)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Database | None]:
        """The database, for one process at a time; None if another process is at it."""
        async with (
            long_work(self._url, name="reconcile") as database,
            exclusive(database, RECONCILE_LOCK) as is_ours,
        ):
            yield database if is_ours else None

    @asynccontextmanager
    async def _comparing(
        self, database: Database, *, dry_run: bool = False, is_behind: IsBehind = _never
    ) -> AsyncIterator[tuple[Tracking, Comparison]]:
        """What a run asks and stores with; the connection that it stores with is its own."""
        store = Store(
            IngestSession(self._url, statement_timeout_seconds=_STATEMENT_SECONDS),
            self._metrics,
            screen=self._screen,
        )
        comparison = Comparison(database, None if dry_run else store, self._slices)
        tracking = Tracking(
            self._client,
            per_second=self._per_second,
            is_behind=lambda: is_behind() or comparison.store_seconds > self._slow_seconds,
        )
        try:
            yield tracking, comparison
        finally:
            tracking.close()
            await store.close()

    async def _compare_open(
        self, database: Database, tracking: Tracking, comparison: Comparison
    ) -> None:
        for _ in range(_MAX_CAMPAIGNS):
            found = await work.next_reconciliation(database)
            if found is None:
                return
            await work.begin(database, found.campaign_id)
            try:
                await self._compare_one(database, found, tracking, comparison)
            except Postponed as error:
                if error.counts:
                    failures = await work.note_failure(database, found.campaign_id)
                    if failures >= _MAX_FAILURES:
                        await self._end(database, found, Outcome.FAILED, found.counts.copy())
                raise

    async def _compare_one(
        self,
        database: Database,
        found: Reconciliation,
        tracking: Tracking,
        comparison: Comparison,
    ) -> None:
        counts = found.counts.copy()
        tracking_id = found.tracking_id
        if tracking_id is None:
            tracking_id = await self._learnt(database, found, counts, tracking, comparison)
        if tracking_id is None:
            await self._end(database, found, Outcome.NO_ID, counts)
            return
        pages = CampaignPages(found.campaign_id, tracking_id, found.submission, found.page, counts)

        async def _note(page: int) -> None:
            await work.note_page(database, found.campaign_id, page=page, counts=counts)
            self._say(f"{tracking_id}: page {page}, {counts['missing']} missing so far")

        outcome = await pages.compare(tracking, comparison, note=_note)
        await self._end(database, found, outcome, counts)

    async def _learnt(
        self,
        database: Database,
        found: Reconciliation,
        counts: Counter[str],
        tracking: Tracking,
        comparison: Comparison,
    ) -> str | None:
        """The trackingId of a campaign, learnt from one of its messages; None if there is none."""
        after = ""
        for _ in range(_MAX_MESSAGES):
            message = await next_unbound(database, after, found.campaign_id)
            if message is None:
                return None
            after = message.message_tracking_id
            counts.update(await compare_unbound(database, message, tracking, comparison))
            campaign = await find_campaign(database, str(found.campaign_id))
            if campaign is not None and campaign.tracking_id is not None:
                return campaign.tracking_id
        return None

    async def _compare_loose(
        self, database: Database, tracking: Tracking, comparison: Comparison
    ) -> None:
        """Ask for messages of no campaign at all that have been without a final status for long."""
        for _ in range(_MAX_MESSAGES):
            message = await next_unbound(database, self._asked_upto, None)
            if message is None:
                self._asked_upto = ""
                await work.forget_messages(database, age=SEARCH_BACK)
                return
            await compare_unbound(database, message, tracking, comparison)
            self._asked_upto = message.message_tracking_id

    async def _end(
        self, database: Database, found: Reconciliation, outcome: Outcome, counts: Counter[str]
    ) -> None:
        fruitless = 0 if counts["missing"] else found.fruitless + 1
        pause = pause_after(outcome, fruitless=found.fruitless, is_finished=found.is_finished)
        await work.end(
            database, found.campaign_id, outcome, counts=counts, fruitless=fruitless, pause=pause
        )
        self._metrics.reconciled.labels(outcome.value).inc()
        self._say(f"{found.tracking_id or found.campaign_id}: {outcome.value}")


async def _require_unpaused(database: Database) -> None:
    """
    Check that Routee may be asked now.

    Raises:
        Postponed: Routee wants to be left alone, or callbacks were behind.
    """
    seconds = await work.paused_seconds(database)
    if seconds > 0:
        raise Postponed(f"Routee is not asked for another {seconds:.0f} seconds.", seconds)


async def _due(database: Database, since: datetime | None) -> list[UUID]:
    after = work.first_id_since(since or datetime.now(UTC) - SEARCH_BACK)
    found: list[UUID] = []
    while True:
        due, end = await work.due_campaigns(database, after=after, at_once=since is not None)
        found += due
        if end == after:
            return found
        after = end
