"""The only file that decides whether to start a server, join it, wait for it or replace it."""

from collections.abc import Callable

from app.embedded.cluster import ensure_cluster
from app.embedded.conversation import find_reason_to_wait
from app.embedded.locks import FileLock, is_held
from app.embedded.log_file import LogFile
from app.embedded.pid_file import PidFile, find_pid_file
from app.embedded.postmaster import LOCALHOST, launch, stop
from app.embedded.progress import Progress
from app.embedded.site import Site
from app.errors import DatabaseUnavailable

#: A server that says it is ready has its socket, unless somebody has removed it.
_SOCKET_GRACE_SECONDS = 5.0


class Arrival:
    """
    One user's way to a server that answers. Only for whoever holds the startup lock.

    Args:
        site: Which server.
        users: The users' lock, held by this user already.
        port: TCP port it must have, None if that does not matter.
        say: Told what is waited for.
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
            ConfigurationError: it can never work like this.
            DatabaseUnavailable: the server ended, or others use one that we cannot.
        """
        try:
            return await self._run()
        finally:
            if self._log:
                self._log.close()

    async def _run(self) -> int:
        progress = Progress(self._say)
        while True:
            if not is_held(self._site.paths.server_lock):
                await self._start()
            pid_file = find_pid_file(self._site.paths.cluster)
            reason = await self._find_obstacle(pid_file, progress)
            if reason is None and pid_file:
                return pid_file.port
            await progress.pause(f"Waiting for PostgreSQL: {reason}")

    async def _start(self) -> None:
        if self._log:
            raise DatabaseUnavailable(f"PostgreSQL ended while starting. {self._log.end()}")
        self._log = LogFile(self._site.paths.log)
        await ensure_cluster(self._site, self._log)
        await launch(self._site, self._port, self._log)

    async def _find_obstacle(self, pid_file: PidFile | None, progress: Progress) -> str | None:
        if pid_file is None:
            return "it has just begun"
        reason = await find_reason_to_wait(self._site, pid_file)
        if reason is None and not self._suits(pid_file):
            await self._replace(
                f"The running PostgreSQL does not listen on {LOCALHOST}:{self._port}. Stop the "
                f"others who use {self._site.paths.root}, or start them with the same "
                "RECEIVER_EMBEDDED_PORT."
            )
            return "it is started anew with its port"
        patient = progress.elapsed_seconds < _SOCKET_GRACE_SECONDS
        if reason and not patient and self._is_cut_off(pid_file):
            await self._replace(
                f"PostgreSQL runs, but its socket in {self._site.sockets} is gone, or hidden from "
                "us by a private folder for temporary files. Stop the others who use "
                f"{self._site.paths.root}."
            )
        return reason

    def _suits(self, pid_file: PidFile) -> bool:
        listens = pid_file.tcp_address == LOCALHOST and pid_file.port == self._port
        return self._port is None or listens

    def _is_cut_off(self, pid_file: PidFile) -> bool:
        socket = self._site.sockets / f".s.PGSQL.{pid_file.port}"
        return pid_file.status == "ready" and not socket.exists()

    async def _replace(self, reason: str) -> None:
        """Stop the running server if nobody but us uses it, else give up because of *reason*."""
        nobody_else = self._users.try_exclusive()
        # Nobody can have come in between: they would need the startup lock, which is ours.
        self._users.try_shared()
        if not nobody_else:
            raise DatabaseUnavailable(reason)
        await stop(self._site, self._say)
