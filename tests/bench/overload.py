"""Whether each caller is answered in time when twice as much comes as can be stored."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.processes import module, running
from tests.bench.run import Counts, difference, mark, run
from tests.bench.stage import Stage, staged

_TIMES: Final = 2
_WARM_UP_SECONDS: Final = 1


@dataclass
class _Flood:
    sustained_per_second: float
    seconds: int
    outcome: dict[str, Any]
    added: Counts

    @property
    def in_time(self) -> float:
        return float(self.outcome["in_time"] / self.outcome["due"])

    @property
    def stored_to_sustained(self) -> float:
        return float(self.outcome["stored"] / self.seconds / self.sustained_per_second)

    def faults(self) -> Iterator[str]:
        """What was acknowledged is stored; being late is judged by the bound."""
        stored = self.added["fresh"] + self.added["duplicate"]
        if not self.outcome["stored"] <= stored <= self.outcome["due"]:
            yield f"overload: {self.outcome['stored']} were acknowledged, {stored} are stored"
        # A flush that was left behind may have come to its end: no count has that one.
        if self.added["fresh"] > self.added["rows"]:
            yield f"overload: what is new is not a row: {self.added}"


async def measure(setting: Setting) -> Findings:
    """Each round measures what can be stored, and then posts twice that."""
    async with staged(setting.folder) as stage:
        await run(stage, _WARM_UP_SECONDS)
        floods = [await _flood(stage, setting, number) for number in range(setting.rounds)]
    return Findings(
        figures=_figures_of(floods),
        faults=[fault for flood in floods for fault in flood.faults()],
        details={"overload": [flood.outcome for flood in floods]},
    )


async def _flood(stage: Stage, setting: Setting, number: int) -> _Flood:
    setting.say(f"round {number + 1}: twice as many callbacks as can be stored")
    sustained = (await run(stage, setting.seconds)).load.per_second
    stored = await stage.counts()
    outcome = await _posted(stage, _TIMES * sustained, setting.seconds)
    added = difference(stored, await stage.counts())
    return _Flood(sustained, setting.seconds, outcome, added)


async def _posted(stage: Stage, rate: float, seconds: int) -> dict[str, Any]:
    command = module("tests.bench.open_loop", stage.port, stage.path, rate, seconds, mark())
    async with running(*command) as process:
        output, _ = await process.communicate()
    outcome: dict[str, Any] = json.loads(output)
    return outcome


def _figures_of(floods: Sequence[_Flood]) -> list[Figure]:
    share = [flood.in_time for flood in floods]
    figures = [
        Figure(
            "answered_at_twice_the_load",
            "answered in 2 s, twice the load",
            share,
            Bound(1, in_every_round=True),
        ),
        Figure(
            "stored_at_twice_the_load",
            "stored at twice the load ÷ at what can be stored",
            [flood.stored_to_sustained for flood in floods],
        ),
    ]
    for name in ("p50_ms", "p99_ms", "slowest_ms", "sender_delay_ms"):
        values = [float(flood.outcome[name]) for flood in floods]
        figures.append(Figure(f"overload_{name}", f"{name} at twice the load", values))
    return figures


GROUP: Final = Group("overload", "whether callers are answered in time at twice the load", measure)
