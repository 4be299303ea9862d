"""A primary and standbys on one machine, which a rehearsal kills, freezes and promotes."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.embedded import EmbeddedPostgres
from app.embedded.postmaster import LOCALHOST
from app.embedded.process_files import find_pid_file
from app.embedded.standby import (
    change_settings,
    copy_server,
    follow,
    position_of,
    promote,
    share_password,
    streaming_standbys,
    url_by_port,
)
from app.errors import DatabaseUnavailable

_PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_SETTINGS: Final = {
    # A standby that was away for a while finds all that it lacks.
    "wal_keep_size": "1GB",
    # After a promotion the other standbys look for the new primary this often; the default is 5 s.
    "wal_retrieve_retry_interval": "200ms",
    # A frozen server is given up soon; the default is 60 s.
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
}


class Server:
    """
    One server of a `ReplicaSet`, listening on a port of 127.0.0.1.

    Attributes:
        index: Its place in `ReplicaSet.servers`.
        name: Its `application_name` as a standby, such as `server0`.
        data_dir: Its folder, with the cluster in `postgres`.
        log: The output of the server.
        port: Its TCP port, the same for as long as the set exists.
    """

    def __init__(self, index: int, data_dir: Path, port: int, programs: Path | None) -> None:
        self.index = index
        self.name = f"server{index}"
        self.data_dir = data_dir
        self.log = data_dir / "postgres.log"
        self.port = port
        self._server = EmbeddedPostgres(data_dir, port=port, programs=programs)
        self._cluster = data_dir / "postgres"

    @property
    def url(self) -> str:
        """The URL of this server alone, whether it takes writes or not. It has the password."""
        return url_by_port(self.data_dir, self.port)

    @property
    def is_running(self) -> bool:
        """Whether its processes live, frozen or not."""
        return any(_is_alive(pid) for pid in self._pids())

    async def start(self) -> None:
        """Start it, or start it again after `kill` or `stop`; return when it answers."""
        await self._server.release()
        await self._server.acquire()

    async def stop(self) -> None:
        """Stop it as `systemctl stop` does; a frozen one is thawed first."""
        self.thaw()
        await self._server.release()

    async def kill(self) -> None:
        """SIGKILL all its processes, as the loss of its machine would end them."""
        pids = self._pids()
        _send(pids, signal.SIGKILL)
        await _eventually(lambda: _none_lives(pids))

    def freeze(self) -> None:
        """SIGSTOP all its processes: connections stay open, and new ones get no answer."""
        _send(self._pids(), signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT all its processes."""
        _send(self._pids(), signal.SIGCONT)

    def _pids(self) -> list[int]:
        """The postmaster first; nothing if it does not live."""
        found = find_pid_file(self._cluster)
        if found is None or not _is_alive(found.pid):
            return []
        return [found.pid, *_children_of(found.pid)]


class ReplicaSet:
    """
    A primary and its standbys in *folder*, on 127.0.0.1; a commit waits for one of the standbys.

    Every server has `synchronous_standby_names = 'ANY 1 ("server0", "server1", …)'`, so whichever
    is the primary waits for any one of the others. Their replication is streaming, from a copy by
    `pg_basebackup`. Nothing happens by itself except that standbys find the new primary: no
    server is restarted, promoted or fenced unless a method below is called.

        replicas = ReplicaSet(folder)
        await replicas.start()                   # servers[0] is the primary
        await migrate_database(replicas.url)     # the schema is the caller's matter
        ...                                      # a service with RECEIVER_DATABASE_URL=replicas.url
        await replicas.kill_primary()
        await replicas.promote()                 # the standby that has most
        await replicas.rejoin(0)                 # the killed one comes back as a standby
        await replicas.stop()

    Also an asynchronous context manager: it starts and stops the set.

    Args:
        folder: Gets a folder for each server, `server0` and so on, made if it does not exist. What
            an `EmbeddedPostgres` has left in `server0` is kept, the others are made from it.
        standbys: How many, 1 or more.
        programs: The folder of an installed PostgreSQL; without it that of the wheel runs.
    """

    def __init__(self, folder: Path, *, standbys: int = 2, programs: Path | None = None) -> None:
        ports = _free_ports(standbys + 1)
        self.servers = tuple(
            Server(index, folder / f"server{index}", port, programs)
            for index, port in enumerate(ports)
        )
        #: The server that takes writes, or did until it was killed and none was promoted yet.
        self.primary = self.servers[0]
        self._programs = programs

    @property
    def standbys(self) -> tuple[Server, ...]:
        """All servers but the primary, whether they run or not."""
        return tuple(server for server in self.servers if server is not self.primary)

    @property
    def url(self) -> str:
        """All servers; a connection finds the one that takes writes. It has the password."""
        return self._url("read-write")

    @property
    def read_url(self) -> str:
        """All servers; a connection prefers a standby. It has the password."""
        return self._url("prefer-standby")

    async def start(self) -> None:
        """
        Make and start all servers; return when every standby receives what the primary writes.

        Raises:
            ConfigurationError: PostgreSQL's programs are missing, or unusable here.
            DatabaseUnavailable: a server does not start; the message has the end of its log.
        """
        first, *others = self.servers
        share_password(first.data_dir, *(server.data_dir for server in others))
        await first.start()
        await change_settings(first.url, _SETTINGS)
        for server in others:
            await self._copied(server)
        await asyncio.gather(*(server.start() for server in others))
        await self.all_stream()
        await change_settings(first.url, {"synchronous_standby_names": self._quorum})

    async def stop(self) -> None:
        """Stop all servers that run, the primary last, as it waits for nothing then."""
        for server in self.servers:
            server.thaw()
        for server in (*self.standbys, self.primary):
            await server.stop()

    async def kill_primary(self) -> None:
        """SIGKILL the primary. Until a standby is promoted, nothing takes writes."""
        await self.primary.kill()

    async def promote(self, index: int | None = None) -> Server:
        """
        Make `servers[index]` the primary; return it when it takes writes.

        Without *index* it is the running standby that has received most, which has every commit
        that was acknowledged. Any other one may lack some, as with a real failover tool. The
        former primary is killed first if it still runs, as a real tool must fence it: two servers
        that take writes would both find clients.

        Raises:
            DatabaseUnavailable: no standby answers, or it is not promoted in time.
        """
        await self.primary.kill()
        chosen = await self._most_advanced() if index is None else self.servers[index]
        if chosen is self.primary:
            raise DatabaseUnavailable("This server is the primary.")
        await promote(chosen.url)
        self.primary = chosen
        return chosen

    async def rejoin(self, index: int) -> None:
        """
        Bring `servers[index]` back as a standby, with a new copy of the primary.

        Its old files are gone then: after a promotion it may have commits that no other server has.

        Raises:
            DatabaseUnavailable: the primary does not answer, or the server does not start.
        """
        server = self.servers[index]
        if server is self.primary:
            raise DatabaseUnavailable("This server is the primary.")
        await server.kill()
        await self._copied(server)
        await server.start()
        await self._streams(server)

    async def all_stream(self) -> None:
        """Return when every running standby receives what the primary writes."""
        for server in self.standbys:
            if server.is_running:
                await self._streams(server)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def _quorum(self) -> str:
        return f"ANY 1 ({', '.join(server.name for server in self.servers)})"

    def _url(self, attributes: str) -> str:
        ports = [server.port for server in self.servers]
        hosts = url_by_port(self.servers[0].data_dir, *ports)
        return f"{hosts}?target_session_attrs={attributes}"

    async def _copied(self, server: Server) -> None:
        await copy_server(self.primary.url, server.data_dir, programs=self._programs)
        ports = [other.port for other in self.servers]
        settings = {"synchronous_standby_names": self._quorum}
        follow(server.data_dir, ports=ports, name=server.name, settings=settings)

    async def _streams(self, server: Server) -> None:
        async def _does() -> bool:
            return server.name in await streaming_standbys(self.primary.url)

        await _eventually(_does)

    async def _most_advanced(self) -> Server:
        positions = {
            server: await position_of(server.url) for server in self.standbys if server.is_running
        }
        if not positions:
            raise DatabaseUnavailable("No standby runs.")
        return max(positions, key=positions.__getitem__)


async def _eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """
    Return once *holds* gives True.

    Raises:
        DatabaseUnavailable: it does not within a minute.
    """
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await holds():  # noqa: ASYNC110 (no event announces it)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise DatabaseUnavailable("The servers take too long.") from error


async def _none_lives(pids: list[int]) -> bool:
    return not any(_is_alive(pid) for pid in pids)


def _free_ports(items: int) -> list[int]:
    """Different TCP ports that no process listens on."""
    probes = [socket.socket() for _ in range(items)]
    try:
        for probe in probes:
            probe.bind((LOCALHOST, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat_fields(stat)
        if fields and int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def _is_alive(pid: int) -> bool:
    """Whether process *pid* exists and has not ended; a zombie has."""
    fields = _stat_fields(Path(f"/proc/{pid}/stat"))
    return bool(fields) and fields[0] != "Z"


def _stat_fields(stat: Path) -> list[str]:
    """What `/proc` says of a process after its name: state, parent and more; empty at its end."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []
