"""PostgREST, which calls one function in SQL for each callback: no Python at all."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.sandbox.processes import HOST
from tests.bench.callbacks import Callbacks
from tests.bench.cluster import PLAIN_TABLES, Cluster, clustered
from tests.bench.contenders.contender import House, Posted, Runner, Server
from tests.bench.contenders.postgrest_binary import postgrest
from tests.bench.group import Say
from tests.bench.processes import answers, running
from tests.bench.run import mark
from tests.promises.stage import free_port

FUNCTION: Final = Path(__file__).with_name("receive.sql")


def _environment(cluster: Cluster, role: str, port: int) -> dict[str, str]:
    settings = {
        "DB_URI": cluster.url,
        "DB_ANON_ROLE": role,
        "DB_SCHEMAS": "bench",
        "DB_POOL": "10",
        "DB_PREPARED_STATEMENTS": "true",
        "DB_CHANNEL_ENABLED": "false",
        "LOG_LEVEL": "crit",
        "OPENAPI_MODE": "disabled",
        "SERVER_HOST": HOST,
        "SERVER_PORT": str(port),
    }
    return {**os.environ, **{f"PGRST_{name}": value for name, value in settings.items()}}


@asynccontextmanager
async def _opened(folder: Path, _say: Say) -> AsyncIterator[Mapping[str, Runner]]:
    binary, port = await postgrest(), free_port()
    url = f"http://{HOST}:{port}/rpc/bench_receive"
    async with clustered(folder, events="plain.events") as cluster:
        await cluster.run(PLAIN_TABLES.read_text() + FUNCTION.read_text())
        environment = _environment(cluster, await cluster.value("SELECT current_user"), port)
        log = folder / "postgrest.log"
        async with running(binary, environment=environment, log=log) as process:
            await answers(url, next(Callbacks(mark())))
            yield {"postgrest": Posted(Server(url, process.pid, cluster))}


HOUSE: Final = House({"postgrest": "PostgREST and one function in SQL"}, _opened)
