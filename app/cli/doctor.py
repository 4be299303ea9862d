"""`routee-receiver doctor`: what is wrong with a set-up, and what to do about it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Console

from app.cli.capacity import CONNECTIONS_OF_EACH, CONNECTIONS_OF_ONE
from app.cli.listing import AsJson, show_rows
from app.cli.running import database_url, embedded_for, errors_in_one_line
from app.db.database import Database
from app.domain.masking import SecretMask
from app.errors import DatabaseUnavailable, ReceiverError
from app.main import buffer_of, sources_of, tracking_client_of
from app.observability.metrics import Metrics
from app.services.doctor.examination import Check, Finding, Notes, Verdict, examined
from app.services.doctor.of_database import ServerExamination, examine_replica
from app.services.doctor.of_outside import (
    PublicUrlExamination,
    examine_buffer,
    examine_credentials,
    examine_sources,
)
from app.services.doctor.of_settings import examine_disk, examine_features, examine_secrets
from app.settings import Examined, Settings
from app.settings import examined as examined_settings

#: The findings are the result: on standard output.
_output: Final = Console(highlight=False)
_SETTINGS: Final = "settings"
_DATABASE: Final = "database"
_SCHEMA: Final = "schema"
_BUFFER: Final = "buffer"
_ROUTEE: Final = "routee"
_SOURCES: Final = "callback-sources"
_PUBLIC_URL: Final = "public-url"
#: For these no database is opened, nor an embedded one started.
_WITHOUT_DATABASE: Final = {_SETTINGS, "features", "secrets", "disk", _BUFFER, _ROUTEE, _SOURCES}
_NONE_YET: Final = (
    "Start `serve`, which makes one; or set RECEIVER_DATA_DIR or RECEIVER_DATABASE_URL."
)
_MARKS: Final = {
    Verdict.OK: "[green]ok[/]     ",
    Verdict.SKIPPED: "[dim]skipped[/]",
    Verdict.WARNING: "[yellow]warning[/]",
    Verdict.FAULT: "[bold red]FAULT[/]  ",
}
_EXIT_CODES: Final = {Verdict.WARNING: 1, Verdict.FAULT: 2}


class NotMade(DatabaseUnavailable):
    """There is no embedded database yet."""


def doctor(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this check, and what it needs; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Examine the whole set-up: settings, database, buffer, Routee, and the way to the public URL.

    Uses the settings of `serve`, which may run meanwhile. A marked body is posted to
    RECEIVER_PUBLIC_URL and removed from the quarantine again; the stream of the buffer is made if
    it is missing; of Routee it asks for an access token alone. An embedded database is started for
    it if it does not run, but not made. Each fault says what to do; what depends on it is skipped,
    and so is what has no settings.

    Exit codes: 0 all is well; 1 warnings; 2 faults.

    Example: routee-receiver doctor --only public-url
    """
    with errors_in_one_line():
        found = asyncio.run(_examine(only or (), show=_ignore if as_json else _show))
    if as_json:
        rows = [one._asdict() | {"verdict": one.verdict.value} for one in found]
        show_rows(list(Finding._fields), rows, as_json=True)
    raise typer.Exit(max((_EXIT_CODES.get(one.verdict, 0) for one in found), default=0))


async def _examine(only: Sequence[str], *, show: Callable[[Finding], None]) -> list[Finding]:
    given = examined_settings(os.environ)
    found = []
    async with _checks(given, only) as checks:
        async for finding in examined(_wanted(checks, only)):
            show(finding)
            found.append(finding)
    return found


def _wanted(checks: Sequence[Check], only: Sequence[str]) -> list[Check]:
    """Those named in *only*, and what they need; all if it is empty."""
    names = {check.name: check for check in checks}
    for name in only:
        if name not in names:
            raise typer.BadParameter(f"There is no check {name!r}. There are: {', '.join(names)}.")
    wanted = set(only or names)
    for check in reversed(checks):
        if check.name in wanted:
            wanted.update(check.needs)
    return [check for check in checks if check.name in wanted]


@asynccontextmanager
async def _checks(given: Examined, only: Sequence[str]) -> AsyncIterator[list[Check]]:
    """All checks, in their order; those of the database can be made if one of *only* needs it."""
    settings = given.settings
    mask = SecretMask(settings.all_secrets())
    checks = [
        Check(_SETTINGS, partial(_examine_settings, given)),
        Check("features", partial(examine_features, settings), (_SETTINGS,)),
        Check("secrets", partial(examine_secrets, settings), (_SETTINGS,)),
    ]
    if not settings.database_url:
        checks.append(Check("disk", partial(examine_disk, settings), (_SETTINGS,)))
    is_opened = not given.faults and not (only and _WITHOUT_DATABASE.issuperset(only))
    async with _opened(settings, is_opened=is_opened) as (database, error):
        server = ServerExamination(
            database,
            is_embedded=not settings.database_url,
            needed_connections=sum((*CONNECTIONS_OF_EACH.values(), *CONNECTIONS_OF_ONE.values())),
        )
        connect = partial(_raise, error) if error else server.connection
        is_missing = isinstance(error, NotMade)
        advice = _NONE_YET if is_missing else "Mend that first; the rest depends on it."
        checks += [
            Check(_DATABASE, connect, (_SETTINGS,), advice),
            Check("version", server.version, (_DATABASE,)),
            Check(_SCHEMA, server.schema, (_DATABASE,)),
            Check("rights", server.rights, (_SCHEMA,)),
            Check("durability", server.durability, (_DATABASE,)),
            Check("capacity", server.capacity, (_DATABASE,)),
            Check("clock", server.clock, (_DATABASE,)),
            Check("backup", server.backup, (_DATABASE,)),
        ]
        async with _replica(settings, database) as replica:
            yield [*checks, replica, *_outside(settings, database, mask)]


def _outside(settings: Settings, database: Database, mask: SecretMask) -> list[Check]:
    return [
        _buffer(settings),
        _routee(settings),
        _sources(settings),
        _public_url(settings, database, mask),
    ]


def _buffer(settings: Settings) -> Check:
    buffer = buffer_of(settings, name="doctor")
    if buffer is None:
        return _unset(_BUFFER, "RECEIVER_BUFFER_URL")
    advice = "See docs/durability.md: what the buffer has to be like."
    return Check(_BUFFER, partial(examine_buffer, buffer), (_SETTINGS,), advice)


def _routee(settings: Settings) -> Check:
    if missing := settings.missing_for_reconciling():
        return _unset(_ROUTEE, *missing)
    examine = partial(examine_credentials, tracking_client_of(settings, Metrics()))
    advice = (
        "If Routee refuses: docs/runbooks.md, Routee's credentials are revoked. If it does not "
        "answer: see whether this machine reaches RECEIVER_ROUTEE_AUTH_URL."
    )
    return Check(_ROUTEE, examine, (_SETTINGS,), advice)


def _sources(settings: Settings) -> Check:
    sources = sources_of(settings)
    if sources is None:
        return _unset(_SOURCES, "RECEIVER_CALLBACK_SOURCES")
    return Check(_SOURCES, partial(examine_sources, sources), (_SETTINGS,))


def _public_url(settings: Settings, database: Database, mask: SecretMask) -> Check:
    needed = {
        "RECEIVER_PUBLIC_URL": settings.public_url,
        "RECEIVER_CALLBACK_SECRETS": settings.callback_secrets,
    }
    if missing := [name for name, value in needed.items() if not value]:
        return _unset(_PUBLIC_URL, *missing)
    token = settings.callback_secrets[0].get_secret_value()
    way = PublicUrlExamination(settings.public_url, token, database, mask)
    return Check(_PUBLIC_URL, way.examine, (_SETTINGS, _SCHEMA))


def _unset(name: str, *variables: str) -> Check:
    """A check that is skipped, as *variables* are not set."""
    return Check(name, _nothing, (_SETTINGS,), unset=variables)


async def _examine_settings(given: Examined, notes: Notes) -> None:
    for variable, fault in given.faults.items():
        notes.fault(f"{variable}: {fault}", "Correct it; see docs/configuration.md.")
    if not given.faults:
        notes.ok(f"{len(given.sources)} given, all usable")


@asynccontextmanager
async def _opened(
    settings: Settings, *, is_opened: bool
) -> AsyncIterator[tuple[Database, ReceiverError | None]]:
    """The database, and why it cannot be opened; one that is not there if it is not to be."""
    if not is_opened:
        yield Database("postgresql://", name="doctor"), None
        return
    if not settings.database_url and not embedded_for(settings).is_made():
        missing = NotMade(f"there is no database in {settings.data_dir} yet")
        yield Database("postgresql://", name="doctor"), missing
        return
    opening = database_url(settings)
    try:
        url = await opening.__aenter__()
    except ReceiverError as error:
        yield Database("postgresql://", name="doctor"), error
        return
    database = Database(url, name="doctor", pool_items=2)
    try:
        yield database, None
    finally:
        await database.close()
        await opening.__aexit__(None, None, None)


@asynccontextmanager
async def _replica(settings: Settings, primary: Database) -> AsyncIterator[Check]:
    """The check of the database for reads."""
    if not settings.database_read_url:
        yield _unset("replica", "RECEIVER_DATABASE_READ_URL")
        return
    database = Database(settings.database_read_url, name="doctor", pool_items=1)
    examine = partial(examine_replica, primary, database)
    advice = "See RECEIVER_DATABASE_READ_URL; without it reads go to the primary."
    try:
        yield Check("replica", examine, (_DATABASE,), advice)
    finally:
        await database.close()


async def _nothing(_: Notes) -> None:
    """There is nothing to examine."""


async def _raise(error: ReceiverError, _notes: Notes) -> None:
    raise error


def _ignore(_: Finding) -> None:
    """Show nothing: the document comes at the end."""


def _show(finding: Finding) -> None:
    _output.print(f"{_MARKS[finding.verdict]} [bold]{finding.check}[/]", end=" ")
    _output.print(finding.text, markup=False, highlight=False, soft_wrap=True)
    if finding.advice:
        _output.print(f"        → {finding.advice}", markup=False, soft_wrap=True)
