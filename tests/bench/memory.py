"""How much memory the service has, at full load, and after minutes of it."""

import time
from typing import Final

from tests.bench.cost import Memory
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import run
from tests.bench.stage import Stage, staged

_CONNECTIONS: Final = 512
#: How long it is loaded between two samples.
_SAMPLE_SECONDS: Final = 20
_GROWTH: Final = Bound(1.05, 1, is_ceiling=True)
_BOUND: Final = Bound(250, 150, is_ceiling=True, in_every_round=True)


async def measure(setting: Setting) -> Findings:
    """Each round with a service of its own, since what was once taken is seldom given back."""
    findings, loaded = Findings(), []
    for number in range(setting.rounds):
        setting.say(f"round {number + 1}: memory at {_CONNECTIONS} connections")
        async with staged(setting.folder / str(number)) as stage:
            await _load(stage, setting.seconds, findings)
            loaded.append(stage.memory())
            if setting.minutes and number == setting.rounds - 1:
                await _watch(stage, setting, findings)
    findings.figures += _figures_of(loaded)
    return findings


async def _load(stage: Stage, seconds: int, findings: Findings) -> None:
    loaded = await run(stage, seconds, connections=_CONNECTIONS)
    findings.faults += [f"memory: {fault}" for fault in loaded.faults]


async def _watch(stage: Stage, setting: Setting, findings: Findings) -> None:
    end, samples = time.monotonic() + 60 * setting.minutes, [stage.memory().now]
    while time.monotonic() < end:
        setting.say(f"memory: {samples[-1]:.0f} MB, {end - time.monotonic():.0f} s to go")
        await _load(stage, _SAMPLE_SECONDS, findings)
        samples.append(stage.memory().now)
    says = f"memory after {setting.minutes} minutes of load ÷ before"
    findings.figures.append(Figure("memory_growth", says, [samples[-1] / samples[0]], _GROWTH))
    findings.details["memory"] = samples


def _figures_of(loaded: list[Memory]) -> list[Figure]:
    peaks, nows = [each.peak for each in loaded], [each.now for each in loaded]
    return [
        Figure("memory_peak_mb", "MB at full load", peaks, _BOUND),
        Figure("memory_after_mb", "MB after full load", nows),
    ]


GROUP: Final = Group("memory", "megabytes at full load; how they grow (--minutes)", measure)
