"""`routee-receiver quarantine`: what could not be stored as a callback, and replaying it."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Final, NamedTuple, NoReturn

import typer

from app.cli.export_progress import shown_on
from app.cli.instants import as_instant
from app.cli.listing import AsJson, Row, show_rows
from app.cli.running import (
    console,
    database_url,
    loaded_settings,
    require_current_schema,
    run,
    run_with_database,
    say,
)
from app.db.database import Database
from app.db.quarantine import (
    QuarantinedBody,
    QuarantineFilter,
    count_quarantine,
    drop_quarantined,
    find_octets,
    find_quarantined,
    page_of_quarantine,
)
from app.domain.erasure import ErasureKeys
from app.domain.masking import SecretMask
from app.domain.quarantine import CallbackPath, Reason, ReplayOutcome, preview_of
from app.main import make_replays
from app.observability.metrics import Metrics
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.quarantine import Replays
from app.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List, show, replay and drop quarantined bodies.")

_PAGE_ITEMS: Final = 100
_LISTED_ITEMS: Final = 1000
_TITLES: Final = (
    "id", "reason", "received", "lastReceived", "times", "path", "size", "replayed", "outcome",
    "outcomeReason",
)  # fmt: skip

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only for this reason; repeatable.")
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=as_instant,
        metavar="TIME",
        help="Only what was first received at this time or later. ISO 8601; UTC if it has no "
        "offset.",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=as_instant, metavar="TIME", help="Only what was received before."),
]
PostedTo = Annotated[
    CallbackPath | None, typer.Option("--path", help="Only what was posted to this callback URL.")
]
BodyId = Annotated[int, typer.Argument(min=0, metavar="ID", help="The id in the list.")]


class Replayed(NamedTuple):
    """What became of a body, or would."""

    id: int
    outcome: str
    reason: str | None


@app.command(name="list")
def list_bodies(  # noqa: PLR0913 (the options of the command)
    *,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    path: PostedTo = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = _LISTED_ITEMS,
    as_json: AsJson = False,
) -> None:
    """
    List the bodies, the oldest first.

    Example: routee-receiver quarantine list --reason not-json --since 2026-01-31T12:00:00Z
    """
    wanted = QuarantineFilter(tuple(reason or ()), since, until, path)
    rows = run_with_database(lambda database: _listed(database, wanted, limit + 1))
    show_rows(_TITLES, rows[:limit], as_json=as_json, absent="-")
    if len(rows) > limit:
        say(f"There are more than {limit}: narrow them down, or raise --limit.")


@app.command()
def show(
    body_id: BodyId,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the exact bytes, which nothing masks.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Show one body and how it begins, with our secrets masked.

    Example: routee-receiver quarantine show 17 --raw > body.json
    """
    if raw:
        stored = run_with_database(lambda database: find_octets(database, body_id))
        if stored is None:
            _end_without(body_id)
        typer.echo(stored.octets, nl=False)
        return
    body = run_with_database(lambda database: find_quarantined(database, body_id))
    if body is None:
        _end_without(body_id)
    mask = SecretMask(loaded_settings().all_secrets())
    row = {
        **_row(body),
        "campaign": body.campaign_id,
        "contentType": mask.shown(body.content_type),
        "contentEncoding": mask.shown(body.content_encoding),
        "preview": preview_of(body.beginning, mask),
    }
    if as_json:
        show_rows(list(row), [row], as_json=True)
        return
    members = [{"member": name, "value": value or ""} for name, value in row.items()]
    show_rows(["member", "value"], members, as_json=False)


@app.command()
def replay(  # noqa: PLR0913 (the options of the command)
    body_ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Only these bodies.")
    ] = None,
    *,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    path: PostedTo = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read the bodies, and store nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Read bodies again and store what can be read by now, as received when they first came.

    Without ids and filters: all of which not everything is stored. They stay in the quarantine, and
    `list` shows what became of them. Replaying twice changes nothing. It needs the settings of
    `serve`, which may run meanwhile. A dry run does not check campaigns and ages.

    Exit codes: 0 all were replayed, whatever became of them; 1 some failed, or are not there.

    Example: routee-receiver quarantine replay --reason not-json --dry-run
    """
    settings = loaded_settings()
    wanted = QuarantineFilter(tuple(reason or ()), since, until, path, is_unstored=True)
    if body_ids and any(wanted[:-1]):
        raise typer.BadParameter("Give ids or filters, not both.")
    replayed = run(_replay(settings, wanted, body_ids or (), dry_run=dry_run))
    if as_json:
        titles = list(Replayed._fields)
        show_rows(titles, [one._asdict() for one in replayed], as_json=True)
    else:
        _show_summary(replayed, "would be" if dry_run else "bodies")
    missing = set(body_ids or ()) - {one.id for one in replayed}
    for body_id in sorted(missing):
        say(f"There is no quarantined body {body_id}.")
    if missing or any(one.outcome == ReplayOutcome.FAILED for one in replayed):
        raise typer.Exit(1)


@app.command()
def drop(
    body_ids: Annotated[list[int], typer.Argument(metavar="ID...", help="The ids in the list.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """
    Remove bodies for good.

    Example: routee-receiver quarantine drop 17 18
    """
    if not yes:
        what = f"{len(body_ids)} bodies" if len(body_ids) > 1 else f"body {body_ids[0]}"
        typer.confirm(f"Drop {what} for good?", abort=True, err=True)
    missing = run_with_database(lambda database: _drop(database, body_ids))
    for body_id in missing:
        say(f"There is no quarantined body {body_id}.")
    say(f"Dropped {len(body_ids) - len(missing)}.")
    if missing:
        raise typer.Exit(1)


def _row(body: QuarantinedBody) -> Row:
    return {
        "id": body.id,
        "reason": body.reason,
        "received": body.received_at,
        "lastReceived": body.last_received_at,
        "times": body.times,
        "path": body.path,
        "size": body.size,
        "replayed": body.replayed_at,
        "outcome": body.replay_outcome,
        "outcomeReason": body.replay_reason,
    }


def _end_without(body_id: int) -> NoReturn:
    say(f"There is no quarantined body {body_id}. See: routee-receiver quarantine list")
    raise typer.Exit(1)


def _show_summary(replayed: Sequence[Replayed], title: str) -> None:
    numbers = Counter((one.outcome, one.reason or "") for one in replayed)
    rows = [
        {"outcome": outcome, "reason": reason, title: number}
        for (outcome, reason), number in sorted(numbers.items())
    ]
    show_rows(["outcome", "reason", title], rows, as_json=False)


async def _pages(
    database: Database, wanted: QuarantineFilter
) -> AsyncIterator[Sequence[QuarantinedBody]]:
    page = await page_of_quarantine(database, wanted, after=None, limit=_PAGE_ITEMS)
    yield page.bodies
    while page.end is not None:
        page = await page_of_quarantine(database, wanted, after=page.end, limit=_PAGE_ITEMS)
        yield page.bodies


async def _listed(database: Database, wanted: QuarantineFilter, limit: int) -> list[Row]:
    rows: list[Row] = []
    async for page in _pages(database, wanted):
        rows += [_row(body) for body in page]
        if len(rows) >= limit:
            break
    return rows[:limit]


async def _drop(database: Database, body_ids: Sequence[int]) -> list[int]:
    """Those of *body_ids* that are not there."""
    return [one for one in body_ids if not await drop_quarantined(database, one)]


async def _replay(
    settings: Settings, wanted: QuarantineFilter, body_ids: Sequence[int], *, dry_run: bool
) -> list[Replayed]:
    async with _replays(settings) as (database, replays):
        if dry_run:
            replaying = _read(database, replays, wanted, body_ids)
        elif body_ids:
            replaying = _each(replays, body_ids)
        else:
            replaying = _matching(replays, wanted)
        replayed: list[Replayed] = []
        with shown_on(console) as progress:
            progress.expect(len(body_ids) or await count_quarantine(database, wanted))
            async for one in replaying:
                replayed.append(one)
                progress.add(1)
    return replayed


async def _each(replays: Replays, body_ids: Sequence[int]) -> AsyncIterator[Replayed]:
    for body_id in body_ids:
        body = await replays.replay(body_id)
        if body is not None:
            yield _replayed(body)


async def _matching(replays: Replays, wanted: QuarantineFilter) -> AsyncIterator[Replayed]:
    after: int | None = None
    is_last = False
    while not is_last:
        page = await replays.replay_page(wanted, after=after, limit=_PAGE_ITEMS)
        for body in page.bodies:
            yield _replayed(body)
        after, is_last = page.end, page.end is None


async def _read(
    database: Database, replays: Replays, wanted: QuarantineFilter, body_ids: Sequence[int]
) -> AsyncIterator[Replayed]:
    async for body_id in _ids(database, wanted, body_ids):
        verdict = await replays.verdict_on(body_id)
        if verdict is not None:
            yield Replayed(body_id, verdict.outcome, verdict.reason)


async def _ids(
    database: Database, wanted: QuarantineFilter, body_ids: Sequence[int]
) -> AsyncIterator[int]:
    for body_id in body_ids:
        yield body_id
    if not body_ids:
        async for page in _pages(database, wanted):
            for body in page:
                yield body.id


def _replayed(body: QuarantinedBody) -> Replayed:
    return Replayed(body.id, body.replay_outcome or "", body.replay_reason)


@asynccontextmanager
async def _replays(settings: Settings) -> AsyncIterator[tuple[Database, Replays]]:
    """
    The database, and what replays its quarantine.

    Raises:
        SettingsInvalid: no callback secret is set, so that none could be masked.
    """
    settings.require_callback_secrets()
    async with database_url(settings) as url:
        await require_current_schema(url)
        database = Database(url, name="cli", pool_items=2)
        erased = ErasedRecipients(ErasureKeys(settings.keys_for_erasure()))
        replays = make_replays(settings, database, erased, Metrics(), url=url)
        try:
            yield database, replays
        finally:
            await replays.close()
            await database.close()
