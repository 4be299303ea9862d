"""What it costs to survive the loss of a machine: standbys, or a buffer, beside one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from app.db.database import migrate_database
from app.sandbox.nats_servers import NatsCluster
from app.sandbox.processes import WorkerProcess, children_of
from app.sandbox.replicas import ReplicaSet
from tests.bench.cluster import Cluster, clustered
from tests.bench.cost import Cost, cpu_seconds_of
from tests.bench.figure import Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Counts, Run, run
from tests.promises.stage import SECRET, Service

_MODES: Final = ("direct", "standby", "buffered")
_WARM_UP_SECONDS: Final = 2
#: Rows that do not grow for so long are all that were buffered.
_REST_SECONDS: Final = 1.0


class _Mode:
    """A running service, and where its rows are: of several servers, first the primary."""

    def __init__(
        self, service: Service, clusters: Sequence[Cluster], *others: WorkerProcess
    ) -> None:
        self._service = service
        self._clusters = clusters
        self._others = others

    @property
    def url(self) -> str:
        """Where callbacks are posted to."""
        return f"{self._service.url}/callbacks/{SECRET}/status"

    def cost(self) -> Cost:
        """Of the service with its workers, and of all PostgreSQL servers; not of NATS."""
        pids = [process.process.pid for process in (self._service, *self._others)]
        service = cpu_seconds_of([*pids, *children_of(pids[0])])
        return Cost(service, sum(cluster.cpu_seconds() for cluster in self._clusters))

    async def counts(self) -> Counts:
        """How many events are stored, once what is buffered is."""
        before, rows = -1, await self._clusters[0].rows()
        while before != rows:
            await asyncio.sleep(_REST_SECONDS)
            before, rows = rows, await self._clusters[0].rows()
        return {"rows": rows}


async def measure(setting: Setting) -> Findings:
    """The three in turn, each with a PostgreSQL of its own; all share this machine."""
    async with AsyncExitStack() as stack:
        modes: dict[str, _Mode] = {}
        for name, opened in zip(_MODES, (_direct, _standby, _buffered), strict=True):
            setting.say(f"starting {name}")
            modes[name] = await stack.enter_async_context(opened(setting.folder / name))
            await run(modes[name], _WARM_UP_SECONDS)
        rounds = [await _round(modes, setting, number) for number in range(setting.rounds)]
    return Findings(
        figures=[
            Figure(
                f"{name}_to_direct",
                f"acknowledged with {says} ÷ in one PostgreSQL",
                [each[name].load.per_second / each["direct"].load.per_second for each in rounds],
            )
            for name, says in (("standby", "a synchronous standby"), ("buffered", "a buffer"))
        ],
        faults=[
            f"{name}: {fault}"
            for each in rounds
            for name, one in each.items()
            for fault in one.faults
        ],
        details={"modes": [{name: r.document() for name, r in each.items()} for each in rounds]},
    )


async def _round(modes: Mapping[str, _Mode], setting: Setting, number: int) -> Mapping[str, Run]:
    runs = {}
    for name in _MODES if number % 2 else reversed(_MODES):
        setting.say(f"round {number + 1}: {name}")
        runs[name] = await run(modes[name], setting.seconds)
    return runs


@asynccontextmanager
async def _direct(folder: Path) -> AsyncIterator[_Mode]:
    async with clustered(folder) as cluster, _serving(cluster.url, folder) as service:
        yield _Mode(service, [cluster])


@asynccontextmanager
async def _standby(folder: Path) -> AsyncIterator[_Mode]:
    folder.mkdir(parents=True)  # noqa: ASYNC240 (nothing else runs)
    async with ReplicaSet(folder) as replicas:
        await migrate_database(replicas.url)
        clusters = [
            Cluster(server.url, server.data_dir / "postgres")
            for server in (replicas.primary, *replicas.standbys)
        ]
        await clusters[0].require_durable()
        async with _serving(replicas.url, folder) as service:
            yield _Mode(service, clusters)


@asynccontextmanager
async def _buffered(folder: Path) -> AsyncIterator[_Mode]:
    async with clustered(folder) as cluster, NatsCluster(folder / "nats") as nats:
        settings = {
            "RECEIVER_BUFFER_URL": nats.url,
            "RECEIVER_BUFFER_MONITOR_URLS": nats.monitor_urls,
        }
        async with _serving(cluster.url, folder, settings) as service:
            worker = WorkerProcess(service.settings, folder / "work.log")
            try:
                await worker.start()
                yield _Mode(service, [cluster], worker)
            finally:
                worker.kill()


@asynccontextmanager
async def _serving(
    url: str, folder: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Service]:
    service = Service(url, folder, settings=settings)
    try:
        await service.start()
        yield service
    finally:
        service.kill()


GROUP: Final = Group(
    "modes", "what a synchronous standby and a buffer cost, on this one machine", measure
)
