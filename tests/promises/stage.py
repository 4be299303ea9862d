"""The service as an operator runs it, and a PostgreSQL that tests can break."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.domain.api_key import Scope, digest, make_key
from app.embedded import EmbeddedPostgres
from app.embedded.process_files import find_pid_file
from tests.promises.load import HOST, Callback, Sender

SECRET = "secret-of-all-callbacks-0123456789abcdef"
SIGNING_KEY = "key-that-signs-the-tokens-0123456789abcdef"
#: What the server logs in each worker.
_STARTED = "Application startup complete"
_PATIENCE_SECONDS = 30.0
#: How many callbacks are acknowledged before a test breaks something: the load is in full flow
#: then, on any machine.
FLOWING_ITEMS = 100


class Postgres:
    """A server of a test's own in *data_dir*, with the current schema."""

    def __init__(self, data_dir: Path) -> None:
        self._server = EmbeddedPostgres(data_dir)
        self._cluster = data_dir / "postgres"
        self.log = data_dir / "postgres.log"
        self.url = ""

    async def start(self) -> None:
        """Start it, or start it again after it was killed; return when it answers."""
        await self._server.release()
        self.url = await self._server.acquire()

    async def stop(self) -> None:
        """Stop it as `systemctl stop` does: SIGINT, and all connections are cut."""
        self.thaw()
        await self._server.release()

    def kill(self) -> None:
        """SIGKILL the postmaster; its backends end by themselves."""
        os.kill(self._pid(), signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP all its processes; their sockets stay open."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT all its processes."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        if find_pid_file(self._cluster) is None:
            return
        postmaster = self._pid()
        for pid in (postmaster, *children_of(postmaster)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _pid(self) -> int:
        found = find_pid_file(self._cluster)
        assert found is not None
        return found.pid


class Service:
    """`routee-receiver serve` as a process, in a process group of its own."""

    def __init__(  # noqa: PLR0913 (what differs between tests)
        self,
        database_url: str,
        folder: Path,
        *,
        workers: int = 1,
        surface: str = "all",
        has_operations_port: bool = False,
        drain_seconds: float = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.operations_port = free_port() if has_operations_port else self.port
        self.log = folder / f"service-{self.port}.log"
        self._command = [
            str(Path(sys.executable).parent / "routee-receiver"),
            "serve",
            f"--port={self.port}",
            f"--workers={workers}",
            f"--surface={surface}",
        ]
        self._environment = {
            **{name: value for name, value in os.environ.items() if "RECEIVER_" not in name},
            "RECEIVER_DATABASE_URL": database_url,
            "RECEIVER_CALLBACK_SECRETS": SECRET,
            "RECEIVER_SIGNING_KEYS": SIGNING_KEY,
            "RECEIVER_LOG_FORMAT": "json",
            "RECEIVER_DRAIN_SECONDS": str(drain_seconds),
            "RECEIVER_OPERATIONS_PORT": str(self.operations_port) if has_operations_port else "",
            **(settings or {}),
        }
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def operations_url(self) -> str:
        return f"http://{HOST}:{self.operations_port}"

    def workers(self) -> list[int]:
        """The pids of the worker processes, if there are several."""
        return [pid for pid in children_of(self.process.pid) if b"spawn_main" in _command_of(pid)]

    def sender(self, *, connections: int = 32, kind: str = "status", token: str = SECRET) -> Sender:
        """A sender that posts callbacks to the service."""
        return Sender(self.port, f"/callbacks/{token}/{kind}", connections)

    async def start(self) -> None:
        """Start it and return when all its workers can store."""
        already = self._startups()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 (ours; it only forks)
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self.is_well()

        async def _complete() -> bool:
            return self._startups() == already + self._workers

        await eventually(_complete)

    def _startups(self) -> int:
        return self.log.read_text().count(_STARTED) if self.log.exists() else 0

    async def is_well(self) -> None:
        """Return when `/readyz` says so."""
        async with httpx.AsyncClient(timeout=2) as client:

            async def _ready() -> bool:
                assert self.process.poll() is None, self.log.read_text()
                try:
                    return (await client.get(f"{self.operations_url}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(_ready)

    def kill(self) -> None:
        """SIGKILL it with all its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def end(self) -> tuple[int, float]:
        """SIGTERM it; return its exit code and how many seconds it took."""
        started = time.monotonic()
        self.process.terminate()
        code = await asyncio.to_thread(self.process.wait, _PATIENCE_SECONDS)
        return code, time.monotonic() - started

    def clear(self) -> None:
        """Kill all of its processes, if any are left."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


async def eventually(
    holds: Callable[[], Awaitable[bool]], *, within_seconds: float = _PATIENCE_SECONDS
) -> None:
    """Return once *holds* gives True."""
    async with asyncio.timeout(within_seconds):
        while not await holds():  # noqa: ASYNC110 (no event announces it)
            await asyncio.sleep(0.05)


async def answers(
    sender: Sender,
    status: int,
    *,
    items: int = 1,
    within_seconds: float = _PATIENCE_SECONDS,
) -> None:
    """Return once *items* more callbacks are answered *status*."""
    seen = len(sender.answers)

    async def _are() -> bool:
        return sum(answer.status == status for answer in sender.answers[seen:]) >= items

    await eventually(_are, within_seconds=within_seconds)


@asynccontextmanager
async def posting(sender: Sender, callbacks: Iterable[Callback]) -> AsyncIterator[None]:
    """Post *callbacks* until the block ends; it begins when FLOWING_ITEMS are acknowledged."""
    enough = asyncio.Event()
    task = asyncio.create_task(sender.send(callbacks, until=enough.is_set))
    try:
        await answers(sender, 200, items=FLOWING_ITEMS)
        yield
    finally:
        enough.set()
        await task


async def made_key(url: str, *scopes: Scope) -> str:
    """A new API key of *scopes* in the database at *url*."""
    key = make_key()
    database = Database(url, name="tests", pool_items=1)
    await add_api_key(
        database, name="tests", sha256=digest(key), scopes=frozenset(scopes), expires_at=None
    )
    await database.close()
    return key


def free_port() -> int:
    """A TCP port that no process listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


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
