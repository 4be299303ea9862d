"""What the commands share: settings, the database, and messages for a person."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

from app.db.database import Database
from app.domain.masking import SecretMask
from app.embedded import EmbeddedPostgres
from app.errors import ReceiverError
from app.kit.shutdown import end_on_hangup
from app.observability.logs import configure_logs
from app.settings import Settings, SettingsInvalid, load_settings

T = TypeVar("T")

#: For messages to a person; standard output is for results that a program may read.
console = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print *message* for a person."""
    console.print(message, markup=False, soft_wrap=True)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line instead of a traceback when it fails in an expected way."""
    try:
        yield
    except (ReceiverError, SettingsInvalid) as error:
        say(f"routee-receiver: {error}")
        raise typer.Exit(1) from error


def embedded_for(settings: Settings) -> EmbeddedPostgres:
    """The PostgreSQL in the data directory."""
    return EmbeddedPostgres(settings.data_dir, port=settings.embedded_port, on_progress=say)


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
        await database.require_current_schema()
    finally:
        await database.close()


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
            await database.require_current_schema()
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
    """The settings, whose secrets are masked in logs; an unusable one ends the program."""
    with errors_in_one_line():
        settings = load_settings()
    mask = SecretMask(settings.all_secrets())
    configure_logs(log_format="console", level="WARNING", mask=mask)
    return settings


def end_on_sigterm() -> None:
    """Let SIGTERM and SIGHUP raise SystemExit, so that every context manager releases its own."""

    def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, _end)
    end_on_hangup()
