"""`routee-receiver serve`: receives callbacks and serves the API."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from socket import socket
from typing import Annotated, Final

import typer
from uvicorn import Config

from app.cli.listening import BACKLOG, http_protocol, listen, other_socket
from app.cli.running import (
    AcceptOutdated,
    accepting_outdated,
    embedded_for,
    end_on_sigterm,
    errors_in_one_line,
    loaded_settings,
    require_schema,
    require_storable,
    say,
    warn,
)
from app.cli.starting import abilities_line, database_line
from app.cli.version import version_line
from app.db.database import migrate_database
from app.domain.postgres_version import advice_for, is_safe
from app.embedded import EmbeddedPostgres, Keeper
from app.errors import ConfigurationError, SchemaNewer
from app.main import buffer_of
from app.observability.processes import counted_together
from app.observability.tracing import require_extra
from app.settings import Settings, hand_over

#: For open requests, after the drain: longer than a read that finds its connection dead (6 s for
#: the ping, 2 s to end it). With what follows, the end comes within 16 seconds if PostgreSQL hangs.
_SHUTDOWN_SECONDS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 65
#: A worker that does not answer its supervisor for so long is replaced. One that starts on a busy
#: machine imports for many seconds; with uvicorn's 5 s, such workers were replaced for ever.
_WORKER_SECONDS: Final = 60
_JOIN_SECONDS: Final = 1.0


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
        Surface | None,
        typer.Option(
            help="Only the callback URLs, only the API, or all. Default: RECEIVER_SURFACE, all."
        ),
    ] = None,
    accept_outdated_postgres: AcceptOutdated = False,  # noqa: FBT002 (an option of the command line)
) -> None:
    """
    Receive callbacks and serve the API.

    Needs RECEIVER_CALLBACK_SECRETS. Without RECEIVER_DATABASE_URL a PostgreSQL 18 runs in
    RECEIVER_DATA_DIR (./var), and its schema is kept up to date. The schema of another database is
    brought up to date by `routee-receiver migrate`. With RECEIVER_BUFFER_URL callbacks are
    acknowledged by a NATS JetStream cluster, and `routee-receiver work` stores them.
    """
    settings = accepting_outdated(loaded_settings(), accept_outdated_postgres)
    surface = surface or Surface(settings.surface)
    end_on_sigterm()
    config = Config(
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
        timeout_worker_healthcheck=_WORKER_SECONDS,
    )
    with errors_in_one_line():
        settings.require_callback_secrets()
        require_extra(settings.traces_url)
        _require_ports_apart(settings, port, surface)
        asyncio.run(_require_buffer(settings, surface))
        with _ready_database(settings) as url, counted_together(workers):
            # The application reads its settings from the environment, in workers too.
            hand_over(os.environ, database_url=url, surface=surface)
            others = _other_sockets(settings, host)
            what = f"surface {surface}, {workers} worker{'s' if workers > 1 else ''}"
            asyncio.run(_say_start(settings, url, f"http://{host}:{port}", what))
            listen(config, *others)


def _require_ports_apart(settings: Settings, port: int, surface: Surface) -> None:
    """
    Check that each port serves one thing.

    Raises:
        ConfigurationError: a port is named twice, or would serve nothing.
    """
    if settings.api_port is not None and surface is not Surface.ALL:
        raise ConfigurationError(
            f"RECEIVER_API_PORT is for `--surface all`; with `--surface {surface}` there is one "
            "port for what is served."
        )
    if settings.operations_port == port:
        raise ConfigurationError("RECEIVER_OPERATIONS_PORT must not be the port of `serve`.")
    if settings.api_port == port:
        raise ConfigurationError("RECEIVER_API_PORT must not be the port of `serve`.")
    if settings.api_port is not None and settings.api_port == settings.operations_port:
        raise ConfigurationError("RECEIVER_API_PORT must not be RECEIVER_OPERATIONS_PORT.")


def _other_sockets(settings: Settings, host: str) -> list[socket]:
    """
    The sockets for what has a port of its own; all workers accept connections from them.

    Raises:
        SystemExit: a port is not available.
    """
    ports = {"API": settings.api_port, "Operations": settings.operations_port}
    return [other_socket(what, host, port) for what, port in ports.items() if port is not None]


async def _require_buffer(settings: Settings, surface: Surface) -> None:
    """
    Check the buffer, if callbacks are to be acknowledged by one.

    Raises:
        BufferUnavailable: it does not answer.
        BufferUnsafe: it is not durable, or that cannot be verified.
    """
    buffer = buffer_of(settings, name="serve") if surface is not Surface.API else None
    if buffer is None:
        return
    try:
        await buffer.start()
    finally:
        await buffer.close()


async def _say_start(settings: Settings, url: str, address: str, what: str) -> None:
    database, server = await database_line(settings, url)
    say(f"Listening on {address}: {version_line()}, {database}, {what}, {abilities_line(settings)}")
    if server is not None and not is_safe(server):
        warn(f"{advice_for(server)} Update it before analysts get logins.")


@contextmanager
def _ready_database(settings: Settings) -> Iterator[str]:
    """The URL of a database with the current schema; an embedded server is kept running."""
    if settings.database_url:
        asyncio.run(require_schema(settings))
        yield settings.database_url
        return
    embedded = embedded_for(settings)
    url = asyncio.run(embedded.acquire())
    try:
        asyncio.run(_migrate(url))
        with _kept_running(embedded):
            yield url
    finally:
        asyncio.run(embedded.release())


async def _migrate(url: str) -> None:
    """Bring the schema up to date, unless it is newer and suits."""
    try:
        await migrate_database(url)
    except SchemaNewer:
        await require_storable(url)


@contextmanager
def _kept_running(embedded: EmbeddedPostgres) -> Iterator[None]:
    """While the block runs, start the embedded server again if it ends."""
    leaving = threading.Event()
    keeper = Keeper(embedded.revive, leaving, say)
    # A daemon thread, so that the program can end while the thread waits for a server that hangs.
    thread = threading.Thread(target=keeper.run, name="embedded PostgreSQL", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join(_JOIN_SECONDS)
