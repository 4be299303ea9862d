"""What a second worker adds."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from tests.bench.figure import Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Run, run
from tests.bench.stage import Stage, staged

_WORKERS: Final = (1, 2)
_WARM_UP_SECONDS: Final = 1

_Round = Mapping[int, Run]


async def measure(setting: Setting) -> Findings:
    """One worker and two, each with a PostgreSQL of its own."""
    async with AsyncExitStack() as stack:
        stages = {
            workers: await stack.enter_async_context(
                staged(setting.folder / str(workers), workers=workers)
            )
            for workers in _WORKERS
        }
        for stage in stages.values():
            await run(stage, _WARM_UP_SECONDS)
        rounds = [await _round(stages, setting, number) for number in range(setting.rounds)]
    ratios = [each[2].load.per_second / each[1].load.per_second for each in rounds]
    return Findings(
        figures=[Figure("two_workers_to_one", "two workers ÷ one", ratios)],
        faults=[
            f"workers: {fault}" for each in rounds for r in each.values() for fault in r.faults
        ],
        details={"workers": [{str(w): r.document() for w, r in each.items()} for each in rounds]},
    )


async def _round(stages: Mapping[int, Stage], setting: Setting, number: int) -> _Round:
    runs = {}
    for workers in _WORKERS if number % 2 else reversed(_WORKERS):
        setting.say(f"round {number + 1}: workers: {workers}")
        runs[workers] = await run(stages[workers], setting.seconds)
    return runs


GROUP: Final = Group("workers", "what a second worker adds", measure)
