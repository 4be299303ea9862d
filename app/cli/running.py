"""What the commands share: settings, the database they work on, and how their errors look."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

from app.db.database import Database
from app.embedded import EmbeddedPostgres
from app.errors import ReceiverError
from app.settings import Settings, SettingsInvalid, load_settings

T = TypeVar("T")

#: What a person reads; standard output is for what a program reads.
console = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Tell a person what is going on."""
    console.print(message, markup=False, soft_wrap=True)


@contextmanager
def foreseen() -> Iterator[None]:
    """End with one line instead of a traceback when something foreseen happens."""
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


@asynccontextmanager
async def current_database(settings: Settings) -> AsyncIterator[Database]:
    """
    The database, if its schema is the one this program needs.

    Raises:
        SchemaOutdated: it is not.
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
    with foreseen():
        return asyncio.run(command)


def loaded_settings() -> Settings:
    """The settings; a fault in them ends the program with one line."""
    with foreseen():
        return load_settings()


def end_on_sigterm() -> None:
    """Let SIGTERM unwind the program, so that whoever holds something gives it back."""

    def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, _end)
