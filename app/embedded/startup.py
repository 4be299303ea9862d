"""Getting a server that answers: starting it, joining it, waiting for it or replacing it."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import asyncpg

from app.embedded.account import read_password
from app.embedded.child import LogFile
from app.embedded.cluster import SUPERUSER, ensure_cluster
from app.embedded.postmaster import LOCALHOST, start_server, stop_server
from app.embedded.process_files import (
    FileLock,
    PidFile,
    WaitReporter,
    find_pid_file,
    is_held,
    parse_pid_file,
)
from app.embedded.site import Site, check_socket_folder
from app.errors import ConfigurationError, DatabaseUnavailable

DATABASE = "receiver"

#: A server that reports that it is ready has its socket, unless the socket was removed.
_SOCKET_GRACE_SECONDS = 5.0
_CONNECT_TIMEOUT_SECONDS = 5.0
#: Making a database copies files, which takes a while on a slow disk.
_COMMAND_TIMEOUT_SECONDS = 60.0

#: The server does not answer yet, or no longer, or not at the moment.
_TEMPORARY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)


def url_of(site: Site, port: int) -> str:
    """The URL of our database, as asyncpg, SQLAlchemy and psql take it. It has the password."""
    password = read_password(site.paths.password)
    folder = quote(str(site.sockets), safe="")
    return f"postgresql://{SUPERUSER}:{password}@/{DATABASE}?host={folder}&port={port}"


class Startup:
    """
    Gets one user a server that answers. Only for a holder of the startup lock.

    Args:
        site: Which server.
        users: The users' lock, which this user holds already.
        port: TCP port that the server must have, None if any server will do.
        say: Gets a sentence about a long wait.
    """

    def __init__(
        self, site: Site, users: FileLock, port: int | None, say: Callable[[str], None]
    ) -> None:
        self._site = site
        self._users = users
        self._port = port
        self._say = say
        self._log: LogFile | None = None

    async def run(self) -> int:
        """
        The port of a server that answers, however long its recovery takes.

        Raises:
            ConfigurationError: this can never work; the message says what to correct.
            DatabaseUnavailable: the server ended, or others use a server that does not suit.
        """
        try:
            return await self._run()
        finally:
            if self._log:
                self._log.close()

    async def _run(self) -> int:
        reporter = WaitReporter(self._say)
        while True:
            if not is_held(self._site.paths.server_lock):
                await self._start()
            pid_file = find_pid_file(self._site.paths.cluster)
            obstacle = await self._find_obstacle(pid_file, reporter)
            if obstacle is None and pid_file:
                return pid_file.port
            await reporter.pause(f"Waiting for PostgreSQL: {obstacle}")

    async def _start(self) -> None:
        if self._log:
            raise DatabaseUnavailable(f"PostgreSQL ended while starting. {self._log.end()}")
        self._log = LogFile(self._site.paths.log)
        await ensure_cluster(self._site, self._log)
        await start_server(self._site, self._port, self._log)

    async def _find_obstacle(self, pid_file: PidFile | None, reporter: WaitReporter) -> str | None:
        """Why the server cannot be used yet, after replacing a server that does not suit."""
        if pid_file is None:
            return "it has just begun"
        obstacle = await _find_reason_to_wait(self._site, pid_file)
        if obstacle is None and not self._suits(pid_file):
            await self._replace(
                f"The running PostgreSQL does not listen on {LOCALHOST}:{self._port}. Stop the "
                f"other processes that use {self._site.paths.root}, or start them with the same "
                "RECEIVER_EMBEDDED_PORT."
            )
            return "it is restarted with its port"
        is_overdue = reporter.elapsed_seconds >= _SOCKET_GRACE_SECONDS
        if obstacle and is_overdue and self._has_lost_its_socket(pid_file):
            await self._replace(
                f"PostgreSQL runs, but its socket in {self._site.sockets} was removed, or a "
                "private folder for temporary files hides it. Stop the other processes that use "
                f"{self._site.paths.root}."
            )
        return obstacle

    def _suits(self, pid_file: PidFile) -> bool:
        listens = pid_file.tcp_address == LOCALHOST and pid_file.port == self._port
        return self._port is None or listens

    def _has_lost_its_socket(self, pid_file: PidFile) -> bool:
        socket = self._site.sockets / f".s.PGSQL.{pid_file.port}"
        return pid_file.status == "ready" and not socket.exists()

    async def _replace(self, reason: str) -> None:
        """Stop the running server if it has no other user, else give up because of *reason*."""
        is_only_user = self._users.try_exclusive()
        # No user can have come in between: it would need the startup lock, which we hold.
        self._users.try_shared()
        if not is_only_user:
            raise DatabaseUnavailable(reason)
        await stop_server(self._site, self._say)


async def _find_reason_to_wait(site: Site, pid_file: PidFile) -> str | None:
    """
    None when the server that wrote *pid_file* answers and has our database, else its message.

    Raises:
        ConfigurationError: a server answers, but refuses our password or has other files.
        DatabaseUnavailable: the server answers, but refuses what we need.
    """
    try:
        check_socket_folder(site.sockets, site.account)
        await _prepare_database(site, pid_file)
    except _TEMPORARY as error:
        return str(error) or type(error).__name__
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise ConfigurationError(
            f"PostgreSQL refuses the password in {site.paths.password} ({error}). Restore that "
            "file from a backup."
        ) from error
    except asyncpg.PostgresError as error:
        raise DatabaseUnavailable(f"The embedded PostgreSQL answers, but: {error}") from error
    return None


async def _prepare_database(site: Site, pid_file: PidFile) -> None:
    connection = await asyncpg.connect(
        host=str(site.sockets),
        port=pid_file.port,
        user=SUPERUSER,
        password=read_password(site.paths.password),
        database="postgres",
        timeout=_CONNECT_TIMEOUT_SECONDS,
        command_timeout=_COMMAND_TIMEOUT_SECONDS,
    )
    try:
        await _require_same_server(connection, pid_file, site.paths.cluster)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_SECONDS)


async def _require_same_server(
    connection: asyncpg.Connection, pid_file: PidFile, cluster: Path
) -> None:
    """Compare the pid file that the server reads in its data directory with the one in ours."""
    theirs = parse_pid_file(await connection.fetchval("SELECT pg_read_file('postmaster.pid')"))
    if theirs is None or theirs.identity != pid_file.identity:
        raise ConfigurationError(
            f"The server that answers is not the one of {cluster}. Stop it first."
        )
