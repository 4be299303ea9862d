"""How long callbacks take while all reads are at their limits, beside how long they take alone."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from app.domain.api_key import Scope
from tests.bench.figure import Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Run, run
from tests.bench.stage import Stage, staged
from tests.database import connect
from tests.promises.readers import fill
from tests.promises.stage import made_key

_CONNECTIONS: Final = 8
#: For each read.
_CLIENTS: Final = 1
_SHARES: Final = ("p50_ms", "p99_ms")
_WARM_UP_SECONDS: Final = 1
#: Until the readers have begun.
_BEGINNING_SECONDS: Final = 3

#: Alone, and beside the readers.
_Round = tuple[Run, Run]


async def measure(setting: Setting) -> Findings:
    """Callbacks alone and beside the readers, in each round."""
    async with staged(setting.folder) as stage:
        connection = await connect(stage.cluster.url)
        await fill(connection)
        await connection.close()
        key = await made_key(stage.cluster.url, *Scope)
        await run(stage, _WARM_UP_SECONDS)
        rounds = [await _round(stage, key, setting, number) for number in range(setting.rounds)]
    faults = [f"beside reads: {fault}" for pair in rounds for one in pair for fault in one.faults]
    documents = [[one.document() for one in pair] for pair in rounds]
    return Findings(_figures_of(rounds), faults, details={"beside reads": documents})


async def _round(stage: Stage, key: str, setting: Setting, number: int) -> _Round:
    setting.say(f"round {number + 1}: callbacks alone, then beside all reads")
    alone = await run(stage, setting.seconds, connections=_CONNECTIONS)
    async with _readers(stage.port, key):
        await asyncio.sleep(_BEGINNING_SECONDS)
        beside = await run(stage, setting.seconds, connections=_CONNECTIONS)
    return alone, beside


@asynccontextmanager
async def _readers(port: int, key: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.promises.readers"),
        *(f"http://127.0.0.1:{port}", str(_CLIENTS)),
        env={**os.environ, "READERS_KEY": key},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
        assert process.returncode is None, "the readers have failed"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _figures_of(rounds: Sequence[_Round]) -> list[Figure]:
    return [
        Figure(
            f"beside_reads_{share.removesuffix('_ms')}",
            f"{share.removesuffix('_ms')} beside all reads at their limits ÷ alone",
            [_share(beside, share) / _share(alone, share) for alone, beside in rounds],
        )
        for share in _SHARES
    ]


def _share(one: Run, share: str) -> float:
    return float(getattr(one.load, share))


GROUP: Final = Group(
    "beside_reads", "how much longer callbacks take while all reads are at their limits", measure
)
