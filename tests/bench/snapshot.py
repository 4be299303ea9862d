"""What a reader costs who keeps one snapshot open, so that nothing dead can be cleared away."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Run, run
from tests.bench.stage import Stage, staged
from tests.database import connect

_WARM_UP_SECONDS: Final = 1
_THIRDS: Final = 3


@dataclass
class _Series:
    """Three runs, one right after the other."""

    runs: Sequence[Run]

    @property
    def per_second(self) -> float:
        seconds = sum(each.load.seconds for each in self.runs)
        return sum(each.load.acknowledged for each in self.runs) / seconds

    @property
    def last_to_first(self) -> float:
        """CPU time for a callback in the last third ÷ in the first."""
        first, last = (each.service_ms + each.postgres_ms for each in (self.runs[0], self.runs[-1]))
        return last / first


@dataclass
class _Round:
    free: _Series
    held: _Series


async def measure(setting: Setting) -> Findings:
    """With the snapshot and without, on the same service."""
    async with staged(setting.folder) as stage:
        await run(stage, _WARM_UP_SECONDS)
        rounds = [await _round(stage, setting, number) for number in range(setting.rounds)]
    all_series = [series for each in rounds for series in (each.free, each.held)]
    runs = [each for series in all_series for each in series.runs]
    return Findings(
        figures=_figures_of(rounds),
        faults=[f"snapshot: {fault}" for each in runs for fault in each.faults],
        details={"snapshot": [each.document() for each in runs]},
    )


async def _round(stage: Stage, setting: Setting, number: int) -> _Round:
    if number % 2:
        held = await _series(stage, setting, number, is_held=True)
        return _Round(await _series(stage, setting, number, is_held=False), held)
    free = await _series(stage, setting, number, is_held=False)
    return _Round(free, await _series(stage, setting, number, is_held=True))


async def _series(stage: Stage, setting: Setting, number: int, *, is_held: bool) -> _Series:
    setting.say(f"round {number + 1}: {'with' if is_held else 'without'} a snapshot held open")
    await stage.cluster.run("VACUUM")
    async with _held(stage) if is_held else nullcontext():
        return _Series([await run(stage, setting.seconds) for _ in range(_THIRDS)])


@asynccontextmanager
async def _held(stage: Stage) -> AsyncIterator[None]:
    connection = await connect(stage.cluster.url)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("SELECT 1 FROM messages LIMIT 1")
            yield
            await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


def _figures_of(rounds: Sequence[_Round]) -> list[Figure]:
    return [
        Figure(
            "snapshot_to_free",
            "long snapshot ÷ without",
            [each.held.per_second / each.free.per_second for each in rounds],
            Bound(0.85, 0.95),
        ),
        Figure(
            "snapshot_last_to_first",
            "cost in the last third ÷ in the first, snapshot held",
            [each.held.last_to_first for each in rounds],
        ),
        Figure(
            "free_last_to_first",
            "cost in the last third ÷ in the first, no snapshot",
            [each.free.last_to_first for each in rounds],
        ),
        Figure(
            "snapshot_callbacks",
            "callbacks while the snapshot was held",
            [float(sum(r.load.acknowledged for r in each.held.runs)) for each in rounds],
        ),
    ]


GROUP: Final = Group("snapshot", "what a long snapshot of a reader costs", measure)
