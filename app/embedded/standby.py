"""Standbys: copying a running server, following it, and taking its place."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from app.embedded.account import ensure_password, read_password
from app.embedded.binaries import find_binaries
from app.embedded.cluster import SUPERUSER
from app.embedded.postmaster import LOCALHOST
from app.embedded.site import Paths
from app.embedded.startup import DATABASE
from app.errors import ConfigurationError, DatabaseUnavailable

_CONNECT_SECONDS: Final = 5.0
_PROMOTION_SECONDS: Final = 60
_BACKUP_SECONDS: Final = 600.0
#: Where `ALTER SYSTEM` writes; the last of several lines for one setting holds.
_SYSTEM_SETTINGS: Final = "postgresql.auto.conf"
_STANDBY_SIGNAL: Final = "standby.signal"

#: What a standby has received is flushed, so it survives the end of its server. Before a standby
#: has received anything since its start, it has what it has replayed.
_POSITION: Final = """
SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::bigint
"""
_STREAMING: Final = """
SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'
"""


def url_by_port(data_dir: Path, *ports: int) -> str:
    """
    The URL of the database `receiver` at *ports* of 127.0.0.1, with the password of *data_dir*.

    Raises:
        ConfigurationError: the password cannot be read.
    """
    password = read_password(Paths(data_dir).password)
    hosts = ",".join(f"{LOCALHOST}:{port}" for port in ports)
    return f"postgresql://{SUPERUSER}:{password}@{hosts}/{DATABASE}"


async def copy_server(url: str, data_dir: Path, *, programs: Path | None = None) -> None:
    """
    Copy the running server at *url* into *data_dir*, in place of what was there.

    The server of *data_dir* must not run. `follow` makes the copy a standby.

    Raises:
        ConfigurationError: PostgreSQL's programs are missing.
        DatabaseUnavailable: `pg_basebackup` failed; the message has the end of its output.
    """
    await asyncio.to_thread(_copy_server, url, data_dir, find_binaries(programs).programs)


def _copy_server(url: str, data_dir: Path, programs: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    paths = Paths(data_dir)
    parts = urlsplit(url)
    shutil.rmtree(paths.cluster, ignore_errors=True)
    command: list[str | Path] = [
        programs / "pg_basebackup",
        f"--pgdata={paths.cluster}",
        f"--host={parts.hostname}",
        f"--port={parts.port}",
        f"--username={SUPERUSER}",
        "--no-password",
        "--checkpoint=fast",
        "--wal-method=fetch",
    ]
    environment = {"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": parts.password or ""}
    try:
        subprocess.run(  # noqa: S603 (PostgreSQL's own program)
            command,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_BACKUP_SECONDS,
            text=True,
        )
    except OSError as error:
        raise ConfigurationError(f"{command[0]} does not run ({error.strerror}).") from error
    except subprocess.CalledProcessError as error:
        raise DatabaseUnavailable(f"A server cannot be copied. {error.stdout[-1000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise DatabaseUnavailable("Copying a server takes too long.") from error


def follow(data_dir: Path, *, ports: list[int], name: str, settings: Mapping[str, str]) -> None:
    """
    Have the copy in *data_dir* start as the standby *name* of the server that takes writes.

    Args:
        data_dir: As `copy_server` has made it; its server does not run.
        ports: Those of all servers of 127.0.0.1 that may be the primary, its own one too: after a
            promotion it finds the new primary by itself.
        name: Its `application_name`, by which `synchronous_standby_names` knows it.
        settings: More settings, in PostgreSQL's notation.
    """
    paths = Paths(data_dir)
    password = read_password(paths.password)
    primary = (
        f"host={','.join([LOCALHOST] * len(ports))} port={','.join(map(str, ports))} "
        f"user={SUPERUSER} password={password} application_name={name} "
        "target_session_attrs=read-write connect_timeout=2"
    )
    lines = [
        f"{setting} = {_quoted(value)}\n"
        for setting, value in {**settings, "primary_conninfo": primary}.items()
    ]
    with (paths.cluster / _SYSTEM_SETTINGS).open("a") as file:
        file.writelines(lines)
    (paths.cluster / _STANDBY_SIGNAL).touch()


def share_password(source: Path, *data_dirs: Path) -> None:
    """Give *data_dirs* the password of *source*, which is made if it does not exist."""
    source.mkdir(parents=True, exist_ok=True)
    ensure_password(Paths(source).password)
    for data_dir in data_dirs:
        data_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Paths(source).password, Paths(data_dir).password)


async def change_settings(url: str, settings: Mapping[str, str]) -> None:
    """
    Change *settings* of the server at *url* that need no restart.

    Raises:
        DatabaseUnavailable: the server cannot be reached, or refuses.
    """
    async with _connected(url) as connection:
        for name, value in settings.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = {_quoted(value)}")
        await connection.execute("SELECT pg_reload_conf()")


async def promote(url: str) -> None:
    """
    Have the standby at *url* take writes; return when it does.

    Raises:
        DatabaseUnavailable: it cannot be reached, is no standby, or does not do so in a minute.
    """
    async with _connected(url) as connection:
        if not await connection.fetchval("SELECT pg_promote(true, $1)", _PROMOTION_SECONDS):
            raise DatabaseUnavailable("The standby could not be promoted in time.")


async def position_of(url: str) -> int:
    """
    How much WAL the standby at *url* has, as a number of bytes.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    async with _connected(url) as connection:
        return int(await connection.fetchval(_POSITION) or 0)


async def streaming_standbys(url: str) -> set[str]:
    """
    The names of the standbys that receive what the server at *url* writes.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
    """
    async with _connected(url) as connection:
        return {row[0] for row in await connection.fetch(_STREAMING)}


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(
            url, timeout=_CONNECT_SECONDS, command_timeout=2 * _PROMOTION_SECONDS
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=_CONNECT_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        parts = urlsplit(url)
        reason = str(error) or "it does not answer in time"
        raise DatabaseUnavailable(
            f"The server at {parts.hostname}:{parts.port} cannot be used: {reason}."
        ) from error


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
