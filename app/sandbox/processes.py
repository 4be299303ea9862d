"""Servers as real processes, which a rehearsal kills, freezes and starts again."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from app.embedded import EmbeddedPostgres
from app.embedded.process_files import find_pid_file

HOST: Final = "127.0.0.1"
#: The command of the service, as an operator runs it.
RECEIVER: Final = (str(Path(sys.executable).parent / "routee-receiver"),)
#: What the service logs in each worker.
_STARTED: Final = "Application startup complete"
#: Ample, as several test runs may share the machine.
PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
#: Below those that Linux gives to outgoing connections, which take the port of a killed server.
_PORTS: Final = range(20_000, 32_768)
_PORT_ATTEMPTS: Final = 100


class Postgres:
    """A PostgreSQL of its user's own in *data_dir*; log and password are there too."""

    def __init__(self, data_dir: Path) -> None:
        self._server = EmbeddedPostgres(data_dir)
        self._cluster = data_dir / "postgres"
        self._frozen: set[int] = set()
        self.log = data_dir / "postgres.log"
        #: The URL of its database, for its superuser. Empty before the first start.
        self.url = ""

    async def start(self) -> None:
        """
        Start it, or start it again after it was killed; return when it answers.

        Raises:
            DatabaseUnavailable: it ended while starting.
        """
        self.thaw()
        await self._server.release()
        self.url = await self._server.acquire()

    async def revive(self) -> bool:
        """Start it again if it has ended by itself, and return whether it had."""
        return await self._server.revive()

    async def stop(self) -> None:
        """Stop it as `systemctl stop` does: SIGINT, and all connections are cut."""
        self.thaw()
        await self._server.release()

    def kill(self) -> None:
        """SIGKILL the postmaster; its backends end by themselves."""
        self.thaw()
        os.kill(self._pid(), signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP all its processes; their sockets stay open."""
        if find_pid_file(self._cluster) is None:
            return
        postmaster = self._pid()
        self._freeze(postmaster, *children_of(postmaster))

    def freeze_backend(self, pid: int) -> None:
        """SIGSTOP the process of one session, *pid*."""
        if pid in children_of(self._pid()):
            self._freeze(pid)

    def thaw(self) -> None:
        """SIGCONT all that was frozen."""
        while self._frozen:
            _signal(self._frozen.pop(), signal.SIGCONT)

    def _freeze(self, *pids: int) -> None:
        self._frozen.update(pids)
        for pid in pids:
            _signal(pid, signal.SIGSTOP)

    def _pid(self) -> int:
        found = find_pid_file(self._cluster)
        if found is None:
            raise ProcessLookupError("PostgreSQL does not run")
        return found.pid


class ServiceProcess:
    """
    `routee-receiver serve` as a process, in a process group of its own.

    Args:
        settings: Its settings, as RECEIVER_… variables. Those of this process do not reach it.
        log: Gets its output.
        command: What to run instead of `routee-receiver`.
        options: Further options of `serve`.
        workers: The number of its worker processes.
    """

    def __init__(  # noqa: PLR0913 (each by its name)
        self,
        settings: Mapping[str, str],
        log: Path,
        *,
        port: int,
        command: Sequence[str] = RECEIVER,
        options: Iterable[str] = (),
        workers: int = 1,
    ) -> None:
        self.port = port
        self.log = log
        #: The settings of the next start.
        self.settings = dict(settings)
        self._command = [*command, "serve", f"--port={port}", f"--workers={workers}", *options]
        self._worker_items = workers
        self._process: subprocess.Popen[bytes] | None = None
        self._started = _STARTED
        self._earlier_startups = 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """
        The process that was started last.

        Raises:
            ProcessLookupError: it was never started.
        """
        if self._process is None:
            raise ProcessLookupError("the service was not started")
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether the process lives, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """The address of the callbacks, and of the API unless it has a port of its own."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """The address of the API."""
        return f"http://{HOST}:{self.settings.get('RECEIVER_API_PORT') or self.port}"

    @property
    def operations_url(self) -> str:
        """The address of `/readyz`."""
        port = self.settings.get("RECEIVER_OPERATIONS_PORT")
        return f"http://{HOST}:{port}" if port else self.api_url

    def workers(self) -> list[int]:
        """The pids of the worker processes, if there are several."""
        return [pid for pid in children_of(self.process.pid) if b"spawn_main" in _command_of(pid)]

    def launch(self) -> None:
        """Start it, and return at once."""
        self._earlier_startups = self.startups
        own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (ours; it only forks)
                self._command,
                env=own | self.settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def start(self) -> None:
        """Start it and return when all its workers can store."""
        already = self.startups
        self.launch()
        await self.is_well()

        async def _complete() -> bool:
            return self.startups >= already + self._worker_items

        await eventually(_complete)

    @property
    def startups(self) -> int:
        """How many workers have come up so far."""
        return self.log.read_text().count(self._started) if self.log.exists() else 0

    async def is_well(self, *, within_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Return when `/readyz` says so.

        Raises:
            ProcessLookupError: the process has ended.
            TimeoutError: it does not say so in time.
        """
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:

            async def _ready() -> bool:
                if not self.is_running:
                    raise ProcessLookupError(f"the service has ended; see {self.log}")
                try:
                    return (await client.get(f"{self.operations_url}/readyz")).is_success
                except httpx.TransportError:
                    return False

            await eventually(_ready, within_seconds=within_seconds)

    def freeze(self) -> None:
        """SIGSTOP it with all its workers; their sockets stay open."""
        self._signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT it with all its workers."""
        self._signal_group(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL it with all its workers, if any are left."""
        if self._process is None:
            return
        self._signal_group(signal.SIGKILL)
        self._process.wait()

    async def end(self) -> tuple[int, float]:
        """SIGTERM it; return its exit code and how many seconds it took."""
        started = time.monotonic()
        self.process.terminate()
        code = await asyncio.to_thread(self.process.wait, PATIENCE_SECONDS)
        return code, time.monotonic() - started

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class WorkerProcess(ServiceProcess):
    """`routee-receiver work` as a process, which listens to nothing; otherwise as `serve`."""

    def __init__(
        self, settings: Mapping[str, str], log: Path, *, command: Sequence[str] = RECEIVER
    ) -> None:
        super().__init__(settings, log, port=0, command=command)
        self._command = [*command, "work"]
        self._started = "Storing what is buffered"

    async def is_well(self, *, within_seconds: float = PATIENCE_SECONDS) -> None:
        """
        Return when it stores what is buffered.

        Raises:
            ProcessLookupError: the process has ended.
            TimeoutError: it does not say so in time.
        """

        async def _works() -> bool:
            if not self.is_running:
                raise ProcessLookupError(f"the worker has ended; see {self.log}")
            return self.startups > self._earlier_startups

        await eventually(_works, within_seconds=within_seconds)


async def eventually(
    holds: Callable[[], Awaitable[bool]], *, within_seconds: float = PATIENCE_SECONDS
) -> None:
    """
    Return once *holds* gives True.

    Raises:
        TimeoutError: it does not in time.
    """
    async with asyncio.timeout(within_seconds):
        while not await holds():  # noqa: ASYNC110 (no event announces it)
            await asyncio.sleep(_POLL_SECONDS)


def free_port() -> int:
    """
    A TCP port that no process listens on, and that no outgoing connection is given.

    Raises:
        OSError: many attempts found none.
    """
    for _ in range(_PORT_ATTEMPTS):
        port = random.choice(_PORTS)  # noqa: S311 (no secret)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError(f"no free port in {_PORTS}")


def children_of(pid: int) -> list[int]:
    """The pids of the living children of process *pid*."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
