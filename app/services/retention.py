"""Purging what is older than the settings allow."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import structlog

from app.db.database import Database
from app.db.feed.positions import forget_replays, last_received_before
from app.db.retention.partitions import EmptiedMonth, add_months, empty_old_months
from app.db.retention.purges import (
    BLOCKS,
    EVENTS,
    NOTICES,
    RAW,
    RAW_INBOUND,
    REPLIES,
    Purge,
    blocks_of_messages,
    purge_chunk,
    purge_messages,
    purge_progress,
    purge_quarantine,
)
from app.db.retention.runs import (
    Survey,
    exclusive,
    gently,
    long_work,
    note_horizons,
    note_run,
    ran_within,
    rolled_up_position,
    survey,
)
from app.domain.feed import Position
from app.domain.retention import Horizons, Retention
from app.errors import DatabaseUnavailable

log = structlog.get_logger()

#: Any number, as long as no other program in the same database uses it.
_RETENTION_LOCK: Final = 7_021_009
#: A chunk of which others hold rows is tried so often, and then left to the next run.
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 0.3
#: A little less than a day, so that the run does not get later every day.
_DAY: Final = timedelta(hours=23)

Say = Callable[[str], object]


class Purged(NamedTuple):
    """What was purged, or would be."""

    items: list[Survey]
    months: list[EmptiedMonth]


class PurgeJob:
    """Purges what is older than *retention* allows. Only one process at a time runs it."""

    def __init__(self, url: str, retention: Retention, *, say: Say = lambda _: None) -> None:
        self._url = url
        self._retention = retention
        self._say = say
        self._rows: dict[str, int] = {}

    async def run_daily(self) -> None:
        """
        Call `run`, unless a process has done so within a day.

        Raises:
            DatabaseUnavailable: it was interrupted. The next run goes on.
        """
        await self.run(every=_DAY)

    async def run(self, *, every: timedelta | None = None) -> Purged | None:
        """
        Purge what is too old; None if another process is doing so, or has done within *every*.

        Raises:
            DatabaseUnavailable: it was interrupted. The next run goes on.
        """
        self._rows = {}
        async with (
            long_work(self._url, name="retention") as database,
            exclusive(database, _RETENTION_LOCK) as is_ours,
        ):
            if not is_ours or (every is not None and await ran_within(database, every)):
                return None
            months = await self._run(database, datetime.now(UTC))
            await note_run(database)
        items = [Survey(name, rows, 0) for name, rows in self._rows.items()]
        if any(self._rows.values()) or months:
            rows = {name.replace(" ", "_"): number for name, number in self._rows.items()}
            log.info("purged", months=[month.name for month in months], **rows)
        return Purged(items, months)

    async def preview(self) -> Purged:
        """What `run` would purge now, counted by reading the tables."""
        now = datetime.now(UTC)
        horizons = {
            kind: None if kept is None else now - kept
            for kind, kept in self._retention._asdict().items()
        }
        items: list[Survey] = []
        async with long_work(self._url, name="retention") as database:
            for kind, before in horizons.items():
                if before is not None:
                    items += await survey(database, kind, before=before, events=horizons["events"])
            months = await self._old_months(database, horizons["events"], dry_run=True)
        return Purged(items, months)

    async def add_months(self) -> None:
        """
        Make the partitions that are missing.

        Raises:
            DatabaseUnavailable: another session holds its lock for too long. The next run goes on.
        """
        async with (
            long_work(self._url, name="partitions") as database,
            exclusive(database, _RETENTION_LOCK) as is_ours,
        ):
            if is_ours and (added := await add_months(database, now=datetime.now(UTC))):
                log.info("added partitions", first=added[0], last=added[-1])

    async def _run(self, database: Database, now: datetime) -> list[EmptiedMonth]:
        raw, events, messages, inbound = (
            None if kept is None else now - kept for kept in self._retention
        )
        await note_horizons(database, Horizons(events, inbound))
        months = await self._old_months(database, events)
        for purge, before in (
            (EVENTS, events),
            (RAW, raw),
            (REPLIES, inbound),
            (RAW_INBOUND, raw),
            (NOTICES, events),
        ):
            if before is not None:
                await self._purge(database, purge, before)
        await self._progress(database, raw=raw, events=events)
        if messages is not None:
            await self._messages(database, messages)
        if inbound is not None:
            await self._quarantine(database, inbound)
        await forget_replays(database)
        return months

    async def _old_months(
        self, database: Database, before: datetime | None, *, dry_run: bool = False
    ) -> list[EmptiedMonth]:
        if before is None:
            return []
        upto = await _end_of_events(database, before)
        for _ in range(_TRIES):
            try:
                return await empty_old_months(database, before=before, upto=upto, dry_run=dry_run)
            except DatabaseUnavailable as error:  # its rows are purged in chunks
                log.info("a month is in use", error=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
        return []

    async def _purge(self, database: Database, purge: Purge, before: datetime) -> None:
        end_of = _end_of_events if purge is EVENTS else last_received_before
        upto = await end_of(database, before)
        after: Position | None = None
        tries = _TRIES
        while tries:
            chunk = await gently(
                partial(purge_chunk, database, purge, before=before, upto=upto, after=after)
            )
            after = chunk.end
            self._count(purge.name, chunk.rows)
            if chunk.is_held:
                tries -= 1
                await asyncio.sleep(_PAUSE_SECONDS)
            elif chunk.is_last:
                return
        log.info("rows are locked, the next run purges them", what=purge.name)

    async def _messages(self, database: Database, before: datetime) -> None:
        for first in range(0, await blocks_of_messages(database), BLOCKS):
            removed = await gently(
                partial(purge_messages, database, first_block=first, before=before)
            )
            self._count("messages", removed)

    async def _progress(
        self, database: Database, *, raw: datetime | None, events: datetime | None
    ) -> None:
        for name, before in (("campaign_progress", events), ("payloads of campaign_progress", raw)):
            if before is None:
                continue
            purge = partial(
                purge_progress, database, before=before, payloads_only=name != "campaign_progress"
            )
            while removed := await gently(purge):
                self._count(name, removed)

    async def _quarantine(self, database: Database, before: datetime) -> None:
        while removed := await gently(lambda: purge_quarantine(database, before=before)):
            self._count("quarantine", removed)

    def _count(self, name: str, rows: int) -> None:
        before = self._rows.get(name, 0)
        self._rows[name] = before + rows
        if rows and before // 100_000 != self._rows[name] // 100_000:
            self._say(f"{name}: {self._rows[name]:,} so far")


async def _end_of_events(database: Database, before: datetime) -> Position:
    return min(await last_received_before(database, before), await rolled_up_position(database))
