"""The ceiling of HTTP: a server that stores nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.sandbox.processes import HOST
from tests.bench.callbacks import Callbacks
from tests.bench.contenders.contender import House, Posted, Runner, Server
from tests.bench.group import Say
from tests.bench.processes import answers, module, running
from tests.bench.run import mark
from tests.promises.stage import SECRET, free_port


@asynccontextmanager
async def _opened(_folder: Path, _say: Say) -> AsyncIterator[Mapping[str, Runner]]:
    port = free_port()
    url = f"http://{HOST}:{port}/callbacks/{SECRET}/status"
    async with running(*module("tests.bench.contenders.bare_server", port)) as process:
        await answers(url, next(Callbacks(mark())))
        yield {"bare": Posted(Server(url, process.pid))}


HOUSE: Final = House({"bare": "a server that stores nothing"}, _opened)
