"""`routee-receiver serve` on a PostgreSQL of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from app.domain.api_key import Scope
from tests.bench.cluster import Cluster, clustered
from tests.bench.cost import Cost, Memory, cpu_seconds_of, memory_of
from tests.bench.run import Counts
from tests.promises.stage import SECRET, Service, children_of, eventually, made_key

#: For the last flush, and for the followers to have read what they were sent.
SETTLING_SECONDS: Final = 20.0

_COUNTED: Final = {
    "fresh": 'receiver_records_total{kind="event",outcome="fresh"}',
    "duplicate": 'receiver_records_total{kind="event",outcome="duplicate"}',
    "quarantined": "receiver_quarantined_total{",
}


class Stage:
    """The service and its PostgreSQL, with a key for reading."""

    def __init__(self, cluster: Cluster, service: Service, key: str, *, workers: int) -> None:
        self.cluster = cluster
        self.key = key
        self._service = service
        self._workers = workers

    @property
    def port(self) -> int:
        """Where the service listens."""
        return self._service.port

    @property
    def path(self) -> str:
        """Where callbacks are posted to, without the host."""
        return f"/callbacks/{SECRET}/status"

    @property
    def url(self) -> str:
        """Where callbacks are posted to."""
        return f"{self._service.url}{self.path}"

    def cost(self) -> Cost:
        """CPU seconds of the service and of all processes of PostgreSQL so far."""
        pid = self._service.process.pid
        service = cpu_seconds_of((pid, *children_of(pid)))
        return Cost(service, self.cluster.cpu_seconds())

    def memory(self) -> Memory:
        """Of the process that was started."""
        return memory_of(self._service.process.pid)

    async def counts(self) -> Counts:
        """
        What is stored, once nothing waits for its commit any more.

        The metrics are those of one process: with several workers only rows are counted.
        """
        if self._workers > 1:
            return {"rows": await self.cluster.rows_at_rest()}
        await self.is_idle()
        text = await self._metrics()
        counted = {name: _sum(text, start) for name, start in _COUNTED.items()}
        return {**counted, "rows": await self.cluster.rows()}

    async def is_idle(self) -> None:
        """Return when no callback waits."""

        async def _holds() -> bool:
            return await self.metric("receiver_pending_items") == 0

        await eventually(_holds, within_seconds=SETTLING_SECONDS)

    async def metric(self, name: str) -> int:
        """The sum of the samples of *name*."""
        return _sum(await self._metrics(), name)

    async def _metrics(self) -> str:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return (await client.get(f"{self._service.url}/metrics")).text


@asynccontextmanager
async def staged(folder: Path, *, workers: int = 1) -> AsyncIterator[Stage]:
    """The service on a PostgreSQL in *folder*, both ended with the block."""
    async with clustered(folder) as cluster, serving(cluster, folder, workers=workers) as stage:
        yield stage


@asynccontextmanager
async def serving(cluster: Cluster, folder: Path, *, workers: int = 1) -> AsyncIterator[Stage]:
    """The service on *cluster*, ended with the block; *folder* gets its log."""
    service = Service(cluster.url, folder, workers=workers)
    try:
        await service.start()
        yield Stage(cluster, service, await made_key(cluster.url, Scope.READ), workers=workers)
    finally:
        service.kill()


def _sum(metrics: str, start: str) -> int:
    lines = (line for line in metrics.splitlines() if line.startswith(start))
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
