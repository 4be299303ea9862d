"""The only file that talks to the embedded server: to know it, and to make our database in it."""

from pathlib import Path
from urllib.parse import quote

import asyncpg

from app.embedded.cluster import SUPERUSER
from app.embedded.password import read_password
from app.embedded.pid_file import PidFile, parse_pid_file
from app.embedded.site import Site
from app.embedded.sockets import check_socket_folder
from app.errors import ConfigurationError, DatabaseUnavailable

DATABASE = "receiver"

_CONNECT_TIMEOUT_SECONDS = 5.0
#: Making a database copies files, on a slow disk for a while.
_COMMAND_TIMEOUT_SECONDS = 60.0

#: It cannot answer yet, or no longer, or not just now.
_NOT_NOW = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)


def url_of(site: Site, port: int) -> str:
    """The address of our database, for asyncpg, SQLAlchemy and psql alike. It has the password."""
    password = read_password(site.paths)
    folder = quote(str(site.sockets), safe="")
    return f"postgresql://{SUPERUSER}:{password}@/{DATABASE}?host={folder}&port={port}"


async def find_reason_to_wait(site: Site, pid_file: PidFile) -> str | None:
    """
    None when the server that wrote *pid_file* answers, and has our database; else what it says.

    Raises:
        ConfigurationError: somebody answers, but not with our password or not from our files.
        DatabaseUnavailable: it answers, but refuses what we need.
    """
    try:
        check_socket_folder(site.sockets, site.account)
        await _converse(site, pid_file)
    except _NOT_NOW as error:
        return str(error) or type(error).__name__
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise ConfigurationError(
            f"PostgreSQL refuses the password in {site.paths.password} ({error}). Restore that "
            "file from a backup."
        ) from error
    except asyncpg.PostgresError as error:
        raise DatabaseUnavailable(f"The embedded PostgreSQL answers, but: {error}") from error
    return None


async def _converse(site: Site, pid_file: PidFile) -> None:
    connection = await asyncpg.connect(
        host=str(site.sockets),
        port=pid_file.port,
        user=SUPERUSER,
        password=read_password(site.paths),
        database="postgres",
        timeout=_CONNECT_TIMEOUT_SECONDS,
        command_timeout=_COMMAND_TIMEOUT_SECONDS,
    )
    try:
        await _recognise(connection, pid_file, site.paths.cluster)
        await _ensure_database(connection)
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_SECONDS)


async def _recognise(connection: asyncpg.Connection, pid_file: PidFile, cluster: Path) -> None:
    """Compare what the server reads in its own data directory with what we read in ours."""
    theirs = parse_pid_file(await connection.fetchval("SELECT pg_read_file('postmaster.pid')"))
    if theirs is None or theirs.identity != pid_file.identity:
        raise ConfigurationError(
            f"The server that answers is not the one of {cluster}. Stop it first."
        )


async def _ensure_database(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
        await connection.execute(f"CREATE DATABASE {DATABASE}")
