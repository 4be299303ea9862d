"""How long an answer takes, from an idle service to a full one."""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.figure import Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Run, run
from tests.bench.stage import Stage, staged

_CONNECTIONS: Final = (1, 64, 512)
_SHARES: Final = ("p50_ms", "p99_ms", "p999_ms")
_WARM_UP_SECONDS: Final = 1

_Round = Mapping[int, Run]


async def measure(setting: Setting) -> Findings:
    """Each number of connections, in each round."""
    async with staged(setting.folder) as stage:
        await run(stage, _WARM_UP_SECONDS)
        rounds = [await _round(stage, setting, number) for number in range(setting.rounds)]
    return Findings(
        figures=_figures_of(rounds),
        faults=[
            f"latency: {fault}" for each in rounds for r in each.values() for fault in r.faults
        ],
        details={"latency": [{str(c): r.document() for c, r in each.items()} for each in rounds]},
    )


async def _round(stage: Stage, setting: Setting, number: int) -> _Round:
    runs = {}
    for connections in _CONNECTIONS:
        setting.say(f"round {number + 1}: latency at {connections} connections")
        runs[connections] = await run(stage, setting.seconds, connections=connections)
    return runs


def _figures_of(rounds: Sequence[_Round]) -> list[Figure]:
    return [
        Figure(
            f"latency_{connections}_{share}",
            f"{share} at {connections} connections",
            [float(getattr(each[connections].load, share)) for each in rounds],
        )
        for connections in _CONNECTIONS
        for share in _SHARES
    ]


GROUP: Final = Group("latency", "how long an answer takes, with 1 to 512 connections", measure)
