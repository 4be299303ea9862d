"""
Bento, a stream processor in Go: callbacks over HTTP, in batches into one table.

It is the fastest program to be had that answers only after a commit. What it stores is the callback
and its columns, nothing that follows from them.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.sandbox.processes import HOST
from tests.bench.callbacks import Callbacks
from tests.bench.cluster import clustered
from tests.bench.contenders.bento.binary import bento
from tests.bench.contenders.contender import House, Posted, Runner, Server
from tests.bench.group import Say
from tests.bench.processes import answers, running
from tests.bench.run import mark
from tests.promises.stage import free_port

_CONFIG: Final = Path(__file__).with_name("bento.yaml")
_TABLES: Final = Path(__file__).with_name("tables.sql")
#: Go's driver would insist on TLS, and ask the server twice for each statement.
_OPTIONS: Final = "sslmode=disable&binary_parameters=yes"

#: Memory for speed: the collector of Go took a fifth of the processor with its default of 100.
_GARBAGE_PERCENT: Final = "800"


@asynccontextmanager
async def _opened(folder: Path, say: Say) -> AsyncIterator[Mapping[str, Runner]]:
    binary, port = await bento(say), free_port()
    url = f"http://{HOST}:{port}/callbacks/status"
    async with clustered(folder, events="bento.distinct_callbacks") as cluster:
        await cluster.run(_TABLES.read_text())
        environment = {
            **os.environ,
            "BENCH_PORT": str(port),
            "GOGC": _GARBAGE_PERCENT,
            "BENCH_DATABASE_URL": f"{cluster.url}&{_OPTIONS}",
        }
        command, log = (binary, "-c", _CONFIG), folder / "bento.log"
        async with running(*command, environment=environment, log=log) as process:
            await answers(url, next(Callbacks(mark())))
            yield {"bento": Posted(Server(url, process.pid, cluster))}


HOUSE: Final = House({"bento": "Bento, in batches into one table"}, _opened)
