"""Whether a callback costs as much once PostgreSQL has statistics of the tables as before."""

from typing import Final, NamedTuple

from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Run, run
from tests.bench.stage import Stage, staged

_WARM_UP_SECONDS: Final = 1
#: Statistics come when this group wants them, and not before.
_NONE_OF_ITSELF: Final = ("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
_COME: Final = "VACUUM (ANALYZE)"


class _Pair(NamedTuple):
    before: Run
    after: Run

    @property
    def postgres(self) -> float:
        return self.after.postgres_ms / self.before.postgres_ms

    @property
    def per_second(self) -> float:
        return self.after.load.per_second / self.before.load.per_second


async def measure(setting: Setting) -> Findings:
    """Each round with a database of its own, since statistics cannot be taken back."""
    pairs = []
    for number in range(setting.rounds):
        async with staged(setting.folder / str(number)) as stage:
            pairs.append(await _pair(stage, setting, number))
    return Findings(
        figures=[
            Figure(
                "statistics_postgres_cpu",
                "CPU time of PostgreSQL with statistics ÷ without",
                [pair.postgres for pair in pairs],
                Bound(1.1, is_ceiling=True),
            ),
            Figure(
                "statistics_per_second",
                "callbacks a second with statistics ÷ without",
                [pair.per_second for pair in pairs],
            ),
        ],
        faults=[f"statistics: {fault}" for pair in pairs for each in pair for fault in each.faults],
        details={"statistics": [[each.document() for each in pair] for pair in pairs]},
    )


async def _pair(stage: Stage, setting: Setting, number: int) -> _Pair:
    for statement in _NONE_OF_ITSELF:
        await stage.cluster.run(statement)
    await run(stage, _WARM_UP_SECONDS)
    setting.say(f"round {number + 1}: without statistics")
    before = await run(stage, setting.seconds)
    await stage.cluster.run(_COME)
    setting.say(f"round {number + 1}: with statistics")
    return _Pair(before, await run(stage, setting.seconds))


GROUP: Final = Group("statistics", "whether statistics make a callback dearer", measure)
