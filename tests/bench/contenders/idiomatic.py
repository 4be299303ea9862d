"""The service as FastAPI and SQLAlchemy are usually used: a transaction for each request."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.sandbox.processes import HOST
from tests.bench.callbacks import Callbacks
from tests.bench.cluster import PLAIN_TABLES, clustered
from tests.bench.contenders.contender import House, Posted, Runner, Server
from tests.bench.group import Say
from tests.bench.processes import answers, module, running
from tests.bench.run import mark
from tests.promises.stage import free_port


@asynccontextmanager
async def _opened(folder: Path, _say: Say) -> AsyncIterator[Mapping[str, Runner]]:
    port = free_port()
    url = f"http://{HOST}:{port}/callbacks/status"
    async with clustered(folder, events="plain.events") as cluster:
        await cluster.run(PLAIN_TABLES.read_text())
        command = module("tests.bench.contenders.idiomatic_app", port, cluster.url)
        async with running(*command) as process:
            await answers(url, next(Callbacks(mark())))
            yield {"idiomatic": Posted(Server(url, process.pid, cluster))}


HOUSE: Final = House({"idiomatic": "FastAPI and SQLAlchemy, a transaction a request"}, _opened)
