"""`routee-receiver reconcile`: compares what is stored with Routee's tracking."""

import asyncio
import getpass
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from app.cli.listing import show_rows
from app.cli.running import current_database, database_url, loaded_settings, run, say
from app.db.campaigns import find_campaign
from app.db.database import Database
from app.db.reconcile import ask_for, count_open, find_reconciliation, paused_seconds
from app.domain.erasure import ErasureKeys
from app.domain.reconcile import Outcome
from app.domain.tracking_id import canonical_id
from app.kit.instants import parse_instant
from app.main import reconciler_of, tracking_client_of
from app.observability.metrics import Metrics
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.reconcile.asking import PAUSE_SECONDS, Behind, Postponed
from app.services.reconcile.reconciler import Reconciler
from app.settings import Settings

#: How often it is looked whether another process is done with the same.
_POLL_SECONDS: Final = 1.0


class Compared:
    """What comparing one campaign, or one message, has found."""

    def __init__(self, what: str, outcome: str, counts: Counter[str]) -> None:
        self.what = what
        self.outcome = outcome
        self.counts = counts


def reconcile(
    tracking_id: Annotated[
        str | None,
        typer.Argument(
            parser=canonical_id,
            metavar="[TRACKING_ID]",
            help="Of a campaign, Routee's or ours, or of a message.",
        ),
    ] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            help="All campaigns known since this time, due or not; ISO 8601, UTC unless it names a "
            "zone.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Ask Routee, write nothing, and show what is missing."),
    ] = False,
) -> None:
    """
    Ask Routee's tracking for statuses whose callbacks did not come, and store what is missing.

    `serve` does this by itself: for campaigns that have lacked final statuses for long, and once
    for each campaign when its time is over. After an outage --since does not wait. Routee gets
    RECEIVER_RECONCILE_REQUESTS_PER_SECOND requests per second. What was interrupted is resumed, by
    the next call or by a process that serves. Needs RECEIVER_ROUTEE_APPLICATION_ID and
    RECEIVER_ROUTEE_APPLICATION_SECRET.

    Example: routee-receiver reconcile --since 2026-11-28
    """
    settings = loaded_settings()
    compared = run(_reconcile(settings, tracking_id, _instant(since), dry_run=dry_run))
    if not compared:
        say("Nothing is due.")
        return
    _show(compared, "missing" if dry_run else "stored")


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = parse_instant(text)
    if found is None:
        raise typer.BadParameter("must be a time in ISO 8601", param_hint="--since")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _show(compared: list[Compared], what: str) -> None:
    rows = [
        {
            "compared": one.what,
            "outcome": one.outcome,
            "messages": one.counts["messages"],
            what: one.counts["missing"],
            "unusable": sum(one.counts[name] for name in ("foreign", "unreadable", "failed")),
        }
        for one in compared
    ]
    show_rows(["compared", "outcome", "messages", what, "unusable"], rows, as_json=False)


async def _reconcile(
    settings: Settings, tracking_id: str | None, since: datetime | None, *, dry_run: bool
) -> list[Compared]:
    async with current_database(settings) as database, _reconciler(settings) as reconciler:
        reconciler.require_configured()
        campaigns: list[UUID] | None = None
        if tracking_id is not None:
            campaign = await find_campaign(database, tracking_id)
            if campaign is None:
                counts = await reconciler.compare_message(tracking_id, dry_run=dry_run)
                return [Compared(tracking_id, Outcome.COMPARED.value, counts)]
            campaigns = [campaign.id]
        if campaigns is None:
            campaigns = await reconciler.find_due(since=since)
        if dry_run:
            found = await reconciler.preview(campaigns)
            return [Compared(str(one), outcome.value, counts) for one, outcome, counts in found]
        if tracking_id is not None:
            await reconciler.ask(database, tracking_id, asked_by=_user())
        else:
            await ask_for(database, campaigns, asked_by=_user())
        await _until_done(database, reconciler, campaigns)
        return [await _compared(database, one) for one in campaigns]


async def _until_done(database: Database, reconciler: Reconciler, campaigns: list[UUID]) -> None:
    """Compare, or wait for the process that does, until none of *campaigns* is open."""
    while await count_open(database, campaigns):
        seconds = await paused_seconds(database)
        if seconds > PAUSE_SECONDS:
            raise Postponed(f"Routee is not asked for another {seconds:.0f} seconds.", seconds)
        if seconds > 0:
            await asyncio.sleep(seconds)
        try:
            if not await reconciler.run():
                await asyncio.sleep(_POLL_SECONDS)
        except Behind as error:
            say(f"{error} Going on in {error.seconds:.0f} seconds.")


async def _compared(database: Database, campaign_id: UUID) -> Compared:
    found = await find_reconciliation(database, campaign_id)
    if found is None:  # an observed campaign that turned out to be one that was launched here
        return Compared(str(campaign_id), Outcome.COMPARED.value, Counter())
    outcome = "" if found.outcome is None else found.outcome.value
    return Compared(found.tracking_id or str(campaign_id), outcome, found.counts)


@asynccontextmanager
async def _reconciler(settings: Settings) -> AsyncIterator[Reconciler]:
    client = tracking_client_of(settings, Metrics())
    erased = ErasedRecipients(ErasureKeys(settings.keys_for_erasure()))
    try:
        async with database_url(settings) as url:
            yield reconciler_of(settings, url, client, Metrics(), erased, say=say)
    finally:
        await client.aclose()


def _user() -> str:
    try:
        return f"command line, {getpass.getuser()}"
    except (KeyError, OSError):  # a container's user need not have a name
        return "command line"
