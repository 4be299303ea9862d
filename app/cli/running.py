"""What the commands share: settings, the database, and messages for a person."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Annotated, NoReturn, TypeVar

import structlog
import typer
from rich.console import Console

from app.db.database import Database, schema_version
from app.domain.postgres_version import advice_for, is_safe
from app.embedded import EmbeddedPostgres
from app.embedded.binaries import find_binaries
from app.errors import ConfigurationError, DatabaseUnavailable, DatabaseUnusable, ReceiverError
from app.kit.shutdown import end_on_hangup
from app.settings import Settings, SettingsInvalid, load_settings

T = TypeVar("T")

log = structlog.get_logger()

#: For messages to a person; standard output is for results that a program may read.
console = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print *message* for a person; with logs for a collector, log it."""
    if is_logging_json():
        log.info(message)
    else:
        console.print(message, markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """As `say`, for what should not stay so."""
    if is_logging_json():
        log.warning(message)
    else:
        say(f"Warning: {message}")


def is_logging_json() -> bool:
    """Whether all of stderr is JSON; the other settings may be wrong."""
    return os.environ.get("RECEIVER_LOG_FORMAT", "").strip() == "json"


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line instead of a traceback when it fails in an expected way."""
    try:
        yield
    except (ReceiverError, SettingsInvalid) as error:
        if is_logging_json():
            log.error(str(error))  # noqa: TRY400 (its message says all)
        else:
            say(f"routee-receiver: {error}")
        raise typer.Exit(1) from error


#: The option of the commands that let others into the embedded server.
AcceptOutdated = Annotated[
    bool,
    typer.Option(
        "--accept-outdated-postgres",
        help="Use an embedded PostgreSQL that has known holes; for trials only. "
        "RECEIVER_ACCEPT_OUTDATED_POSTGRES=true does the same.",
    ),
]


def accepting_outdated(settings: Settings, accept: bool) -> Settings:  # noqa: FBT001 (the option)
    """*settings* with the option `--accept-outdated-postgres`, if it is given."""
    return settings.model_copy(update={"accept_outdated_postgres": True}) if accept else settings


def embedded_for(settings: Settings) -> EmbeddedPostgres:
    """
    The PostgreSQL in the data directory.

    Raises:
        ConfigurationError: it would listen on a port, and has known holes.
    """
    if settings.embedded_port is not None:
        require_safe_embedded(settings, "RECEIVER_EMBEDDED_PORT lets others reach it.")
    return EmbeddedPostgres(
        settings.data_dir,
        port=settings.embedded_port,
        programs=settings.postgres_bin,
        on_progress=say,
    )


def require_safe_embedded(settings: Settings, why: str) -> None:
    """
    Check that the embedded PostgreSQL has no known holes, unless the settings accept that.

    Raises:
        ConfigurationError: it has; the message says *why* it matters, in a sentence.
    """
    if settings.accept_outdated_postgres:
        return
    version = find_binaries(settings.postgres_bin).version
    if not is_safe(version):
        raise ConfigurationError(
            f"{advice_for(version)} {why} Use a newer one with RECEIVER_DATABASE_URL or "
            "RECEIVER_POSTGRES_BIN, or accept it for a trial with --accept-outdated-postgres."
        )


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database: the configured one, else that of the embedded server."""
    if settings.database_url:
        yield settings.database_url
        return
    async with embedded_for(settings) as url:
        yield url


async def require_current_schema(url: str) -> None:
    """
    Check the database at *url*.

    Raises:
        SchemaOutdated: its schema is not the one that this program needs.
    """
    database = Database(url, name="cli", pool_items=1)
    try:
        await database.require_schema()
    finally:
        await database.close()


async def require_storable(url: str) -> None:
    """
    Check that callbacks can be stored in the database at *url*; its schema may be newer.

    Raises:
        SchemaOutdated: its schema does not suit.
    """
    database = Database(url, name="cli", pool_items=1)
    try:
        found = await database.require_schema(accepts_newer=True)
    finally:
        await database.close()
    if found != schema_version():
        warn(
            f"The schema, {found}, is newer than this program, {schema_version()}. "
            "Callbacks are stored; erasing and purging are left to the newer program."
        )


async def require_schema(settings: Settings) -> None:
    """
    Check the database of *settings*; with a buffer, it may be away at the moment.

    Raises:
        DatabaseUnavailable: it does not answer, and there is no buffer.
        SchemaOutdated: callbacks cannot be stored in its schema.
    """
    try:
        await require_storable(settings.database_url)
    except DatabaseUnavailable as error:
        if isinstance(error, DatabaseUnusable) or not settings.buffer_url:
            raise
        warn(f"{error} Callbacks are buffered until it answers.")


@asynccontextmanager
async def current_database(settings: Settings) -> AsyncIterator[Database]:
    """
    The database.

    Raises:
        SchemaOutdated: its schema is not the one that this program needs.
    """
    async with database_url(settings) as url:
        database = Database(url, name="cli", pool_items=2)
        try:
            await database.require_schema()
            yield database
        finally:
            await database.close()


def run(command: Coroutine[None, None, T]) -> T:
    """Run *command* to its end."""
    with errors_in_one_line():
        return asyncio.run(command)


def run_with_database(command: Callable[[Database], Coroutine[None, None, T]]) -> T:
    """Run *command* with the database of the settings to its end."""

    async def _run(settings: Settings) -> T:
        async with current_database(settings) as database:
            return await command(database)

    return run(_run(loaded_settings()))


def loaded_settings() -> Settings:
    """The settings; an unusable one ends the program with one line."""
    with errors_in_one_line():
        return load_settings()


def end_on_sigterm() -> None:
    """Let SIGTERM and SIGHUP raise SystemExit, so that every context manager releases its own."""

    def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, _end)
    end_on_hangup()
