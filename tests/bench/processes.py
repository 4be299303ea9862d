"""Starting what is measured, ending it whatever happens, and what it cost."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import httpx

from app.db.api_keys import add_api_key
from app.db.database import Database, migrate_database
from app.db.embedded.pid_file import find_pid_file
from app.domain.api_key import Scope, digest, make_key
from tests.promises.load import HOST
from tests.promises.stage import SECRET, Postgres, Service, children_of, eventually, free_port

#: For the last flush, and for the followers to have read what they were sent.
_SETTLING_SECONDS: Final = 20.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """CPU seconds up to some instant."""

    service: float
    postgres: float

    def since(self, earlier: "Cost") -> "Cost":
        """What was spent since *earlier*."""
        return Cost(self.service - earlier.service, self.postgres - earlier.postgres)


class Stored(NamedTuple):
    """What the service says that it stored, and what the table has."""

    fresh: int
    duplicate: int
    quarantined: int
    rows: int

    def since(self, earlier: "Stored") -> "Stored":
        """What was added since *earlier*."""
        return Stored(*(now - then for now, then in zip(self, earlier, strict=True)))


class Stage:
    """`routee-receiver serve` with one process, and its PostgreSQL."""

    def __init__(self, postgres: Postgres, service: Service, cluster: Path, key: str) -> None:
        self._postgres = postgres
        self._service = service
        self._cluster = cluster
        self.key = key

    @property
    def port(self) -> int:
        """Where the service listens."""
        return self._service.port

    @property
    def callback_url(self) -> str:
        """Where callbacks are posted to."""
        return f"{self._service.url}/callbacks/{SECRET}/status"

    def cost(self) -> Cost:
        """CPU seconds of the service and of all processes of PostgreSQL so far."""
        found = find_pid_file(self._cluster)
        assert found is not None
        backends = sum(_cpu_seconds(pid) for pid in children_of(found.pid))
        return Cost(
            _cpu_seconds(self._service.process.pid),
            backends + _cpu_seconds(found.pid, with_ended_children=True),
        )

    async def settled(self) -> Stored:
        """What is stored, once nothing waits for its commit any more."""

        async def _is_idle() -> bool:
            return await self.metric("receiver_pending_items") == 0

        await eventually(_is_idle, within_seconds=_SETTLING_SECONDS)
        text = await self._metrics()
        return Stored(
            fresh=_sum(text, 'receiver_records_total{kind="event",outcome="fresh"}'),
            duplicate=_sum(text, 'receiver_records_total{kind="event",outcome="duplicate"}'),
            quarantined=_sum(text, "receiver_quarantined_total{"),
            rows=await self.number("SELECT count(*) FROM events"),
        )

    async def metric(self, name: str) -> int:
        """The sum of the samples of *name*."""
        return _sum(await self._metrics(), name)

    async def number(self, query: str) -> int:
        """The one number that *query* gives."""
        return int(await self._value(query))

    async def require_durable(self) -> None:
        """Refuse to measure a PostgreSQL that does not write what it acknowledges."""
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await self._value(f"SHOW {setting}") == "on", setting

    async def _value(self, query: str) -> Any:  # noqa: ANN401 (whatever the query gives)
        connection = await asyncpg.connect(self._postgres.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def _metrics(self) -> str:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return (await client.get(f"{self._service.url}/metrics")).text


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """The service on a PostgreSQL in *folder*, both ended with the block."""
    data_dir = folder / "data"
    data_dir.mkdir()
    postgres = Postgres(data_dir)
    try:
        await postgres.start()
        await migrate_database(postgres.url)
        service = Service(postgres.url, folder)
        try:
            await service.start()
            key = await _made_key(postgres.url)
            stage = Stage(postgres, service, data_dir / "postgres", key)
            await stage.require_durable()
            yield stage
        finally:
            service.clear()
    finally:
        await postgres.stop()


@asynccontextmanager
async def bare() -> AsyncIterator[str]:
    """The URL of the server that stores nothing."""
    port = free_port()
    url = f"http://{HOST}:{port}/callbacks/{SECRET}/status"
    async with _running("tests.bench.bare", port), httpx.AsyncClient(trust_env=False) as client:

        async def _answers() -> bool:
            with suppress(httpx.TransportError):
                return (await client.post(url)).status_code == 200
            return False

        await eventually(_answers)
        yield url


class Followers:
    """Clients that long-poll the feed, in a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self) -> dict[str, Any]:
        """What they have been told so far."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with asyncio.timeout(_SETTLING_SECONDS):
            stdin.write(b"\n")
            await stdin.drain()
            told: dict[str, Any] = json.loads(await stdout.readline())
        return told

    async def woken(self, clients: int) -> int:
        """How many of *clients* have been told something, once all have or it takes too long."""

        async def _all() -> bool:
            return int((await self.told())["woken"]) == clients

        with suppress(TimeoutError):
            await eventually(_all, within_seconds=_SETTLING_SECONDS)
        return int((await self.told())["woken"])


@asynccontextmanager
async def following(stage: Stage, clients: int) -> AsyncIterator[Followers]:
    """So many followers, all of them waiting."""
    async with _running("tests.bench.followers", stage.port, stage.key, clients) as process:

        async def _all_wait() -> bool:
            return await stage.metric("receiver_feed_waiting") == clients

        await eventually(_all_wait)
        yield Followers(process)


@asynccontextmanager
async def _running(module: str, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _made_key(url: str) -> str:
    key = make_key()
    database = Database(url, name="bench", pool_items=1)
    await add_api_key(
        database, name="bench", sha256=digest(key), scopes=frozenset({Scope.READ}), expires_at=None
    )
    await database.close()
    return key


def _cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended since
        return 0.0
    times = stat.rpartition(")")[2].split()[11:15]
    return sum(map(int, times[: 4 if with_ended_children else 2])) / _TICKS_PER_SECOND


def _sum(metrics: str, start: str) -> int:
    lines = (line for line in metrics.splitlines() if line.startswith(start))
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
