"""The ceiling of the database: the statement alone, in batches of 64, without HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.bench.cluster import Cluster, clustered
from tests.bench.contenders.contender import House, Runner
from tests.bench.cost import Cost
from tests.bench.group import Say
from tests.bench.processes import module, running
from tests.bench.run import Run, losses, mark
from tests.bench.wrk import Load

_MODULE: Final = "tests.bench.contenders.statement_process"


class _Statement:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, seconds: int) -> Run:
        rows, cost = await self._cluster.rows(), self._cluster.cpu_seconds()
        async with running(*module(_MODULE, self._cluster.url, mark(), seconds)) as process:
            output, _ = await process.communicate()
        printed = json.loads(output)
        spent = Cost(printed.pop("cpu_seconds"), self._cluster.cpu_seconds() - cost)
        load, added = Load(**printed), {"rows": await self._cluster.rows() - rows}
        return Run(load, spent, added, faults=[*losses(load, added)])


@asynccontextmanager
async def _opened(folder: Path, _say: Say) -> AsyncIterator[Mapping[str, Runner]]:
    async with clustered(folder) as cluster:
        yield {"statement": _Statement(cluster)}


HOUSE: Final = House({"statement": "the statement alone, in batches of 64"}, _opened)
