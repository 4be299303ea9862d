"""`routee-receiver serve`: callbacks in, answers out."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Final

import typer
from uvicorn import Config

from app.cli.listening import BACKLOG, http_protocol, listen
from app.cli.running import embedded_for, end_on_sigterm, foreseen, loaded_settings, say
from app.db.database import Database, migrate_database
from app.embedded import EmbeddedPostgres
from app.errors import ReceiverError
from app.settings import Settings

_SHUTDOWN_SECONDS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 65
_REVIVE_EVERY_SECONDS: Final = 1.0


class Surface(StrEnum):
    """What a process serves."""

    ALL = "all"
    CALLBACKS = "callbacks"
    API = "api"


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    surface: Annotated[
        Surface, typer.Option(help="Only the callback URLs, only the API, or all.")
    ] = Surface.ALL,
) -> None:
    """
    Receive callbacks and answer for them.

    Needs RECEIVER_CALLBACK_SECRETS. Without RECEIVER_DATABASE_URL a PostgreSQL 18 runs in
    RECEIVER_DATA_DIR (./var) and its schema is kept up to date; another database must have been
    brought up to date with `routee-receiver migrate`.
    """
    settings = loaded_settings()
    end_on_sigterm()
    with foreseen():
        settings.require_callback_secrets()
        if settings.database_url:
            asyncio.run(_require_current_schema(settings.database_url))
            _listen(settings, settings.database_url, host, port, workers, surface)
        else:
            _serve_embedded(settings, host, port, workers, surface)


def _serve_embedded(
    settings: Settings, host: str, port: int, workers: int, surface: Surface
) -> None:
    embedded = embedded_for(settings)
    url = asyncio.run(embedded.acquire())
    try:
        asyncio.run(migrate_database(url))
        with _kept_running(embedded):
            _listen(settings, url, host, port, workers, surface)
    finally:
        asyncio.run(embedded.release())


@contextmanager
def _kept_running(embedded: EmbeddedPostgres) -> Iterator[None]:
    """Start the embedded server again should it end while the block runs."""
    leaving = threading.Event()

    def _keep() -> None:
        with asyncio.Runner() as runner:  # one: a loop of its own for each look costs a millisecond
            while not leaving.wait(_REVIVE_EVERY_SECONDS):
                try:
                    if runner.run(embedded.revive()):
                        say("PostgreSQL had ended, and was started again.")
                except ReceiverError as error:
                    say(f"PostgreSQL has ended: {error}")

    # A daemon: the program must be able to end while this waits for a server that hangs.
    keeper = threading.Thread(target=_keep, name="embedded PostgreSQL", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        leaving.set()
        keeper.join(_REVIVE_EVERY_SECONDS)


def _listen(  # noqa: PLR0913, PLR0917
    settings: Settings, url: str, host: str, port: int, workers: int, surface: Surface
) -> None:
    # Workers are processes of their own and read the environment again.
    os.environ["RECEIVER_DATABASE_URL"] = url
    os.environ["RECEIVER_SURFACE"] = surface
    say(f"Listening on http://{host}:{port} with {workers} worker(s)")
    listen(
        Config(
            "app.main:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            backlog=BACKLOG,
            loop="uvloop",
            http=http_protocol(settings),
            lifespan="on",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
    )


async def _require_current_schema(url: str) -> None:
    database = Database(url, name="serve", pool_items=1)
    try:
        await database.require_current_schema()
    finally:
        await database.close()
