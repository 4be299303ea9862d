"""`routee-receiver retain`: purges data that is older than its retention period."""

from typing import Annotated

import typer
from rich.table import Table

from app.cli.running import console, current_database, database_url, loaded_settings, run, say
from app.domain.retention import Retention
from app.main import retention_of
from app.services.retention import Purged, PurgeJob
from app.settings import Settings


def retain(
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only count what would be removed. Reads whole tables."),
    ] = False,
) -> None:
    """
    Remove payloads, events, messages and replies that are older than the settings allow.

    RECEIVER_RETENTION_RAW_DAYS, RECEIVER_RETENTION_EVENTS_DAYS, RECEIVER_RETENTION_MESSAGES_DAYS
    and RECEIVER_RETENTION_INBOUND_DAYS say for how many days they are kept; without one, its data
    is kept for ever. `serve` does this once a day by itself. It works in small steps, so that
    callbacks are stored meanwhile; after an interruption, the next run continues.

    Example: RECEIVER_RETENTION_EVENTS_DAYS=400 routee-receiver retain --dry-run
    """
    settings = loaded_settings()
    retention = retention_of(settings)
    if retention.is_unlimited:
        say("Everything is kept for ever: no RECEIVER_RETENTION_…_DAYS is set.")
        return
    removed = run(_retain(settings, retention, dry_run=dry_run))
    if removed is None:
        say("Another process is purging at the moment.")
        raise typer.Exit(1)
    _show(removed, "to remove" if dry_run else "removed")


def _show(removed: Purged, what: str) -> None:
    table = Table("what", f"rows {what}", "bytes, about")
    for item in removed.items:
        table.add_row(item.name, f"{item.rows:,}", f"{item.bytes:,}" if item.bytes else "")
    for month in removed.months:
        table.add_row(f"all of {month.name}", f"{month.rows:,}", f"{month.bytes:,}")
    console.print(table)


async def _retain(settings: Settings, retention: Retention, *, dry_run: bool) -> Purged | None:
    async with current_database(settings), database_url(settings) as url:
        retaining = PurgeJob(url, retention, say=say)
        return await (retaining.preview() if dry_run else retaining.run())
