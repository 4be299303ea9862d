"""How many callbacks are stored while dashboards are open, and how many without them."""

import json
from asyncio import timeout
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import httpx

from app.domain.api_key import Scope
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.processes import module, running
from tests.bench.run import Run, mark, run
from tests.bench.stage import Stage, staged
from tests.bench.visitor import visiting
from tests.promises.stage import eventually, made_key

_NAME: Final = "beside_dashboards"
_OVERVIEWS: Final = 8
#: Each is looked at twice.
_CAMPAIGNS: Final = 4
#: Of all messages, and again of campaigns.
_LISTS: Final = 2
DASHBOARDS: Final = _OVERVIEWS + 2 * _CAMPAIGNS + 2 * _LISTS
_WARM_UP_SECONDS: Final = 3
#: Callbacks are posted for so many times as long as other things are measured: beside them, an open
#: dashboard asks once a minute or so, and when the first ones come all dashboards ask soon.
_TIMES: Final = 12
_ANSWER_SECONDS: Final = 20.0
_CALLBACKS: Final = Bound(0.95, aim=0.98)


class _Round(NamedTuple):
    """One load without dashboards and one beside them, and what they received meanwhile."""

    alone: Run
    beside: Run
    received: dict[str, Any]

    @property
    def faults(self) -> Iterator[str]:
        """What was lost, and which dashboards failed."""
        yield from (*self.alone.faults, *self.beside.faults, *self.received["failures"])
        regions: dict[str, int] = self.received["regions"]
        if failed := {status: times for status, times in regions.items() if int(status) >= 400}:
            yield f"live regions were answered {failed}"

    @property
    def regions(self) -> int:
        """How many live regions the dashboards received."""
        return sum(self.received["regions"].values())

    def document(self) -> dict[str, Any]:
        """It, for a file."""
        return {
            "alone": self.alone.document(),
            "beside": self.beside.document(),
            "received": self.received,
        }


async def measure(setting: Setting) -> Findings:
    """The figures of a database that has nothing in it but what this group stores."""
    async with staged(setting.folder) as stage:
        return await measured(setting, stage, _NAME)


async def measured(setting: Setting, stage: Stage, name: str) -> Findings:
    """Callbacks alone and beside open dashboards, in each round, about the same campaigns."""
    campaigns = mark()
    await run(stage, _WARM_UP_SECONDS, campaigns=campaigns)
    key, paths = await made_key(stage.cluster.url, *Scope), set(paths_of(campaigns))
    async with visiting(f"http://127.0.0.1:{stage.port}") as visitor:
        await visitor.sign_in(key)
        answers = {path: (await visitor.get(path)).status for path in sorted(paths)}
        cookies = visitor.cookies
    missing = [path for path, status in answers.items() if status != httpx.codes.OK]
    if missing:
        return Findings(skipped=[f"{name}: there is no page {path}" for path in missing])
    watched = _Watched(stage, cookies, campaigns)
    rounds = [await watched.round(setting, number) for number in range(setting.rounds)]
    return _findings(name, rounds)


def paths_of(campaigns: str) -> list[str]:
    """What is looked at: the overview, campaigns that callbacks come for, and messages."""
    running_ones = [f"{campaigns}-campaign-{number}" for number in range(_CAMPAIGNS)]
    return [
        *["/ui/"] * _OVERVIEWS,
        *[f"/ui/campaigns/{campaign}" for campaign in running_ones * 2],
        *["/ui/messages"] * _LISTS,
        *[f"/ui/messages?campaign={campaign}" for campaign in running_ones[:_LISTS]],
    ]


class _Watched:
    """The service, and who looks at it."""

    def __init__(self, stage: Stage, cookies: str, campaigns: str) -> None:
        self._stage = stage
        self._cookies = cookies
        self._campaigns = campaigns

    async def round(self, setting: Setting, number: int) -> _Round:
        """Both loads, the one or the other of them first."""
        setting.say(f"round {number + 1}: callbacks alone and beside {DASHBOARDS} dashboards")
        if number % 2:
            beside, received = await self._beside(setting)
            return _Round(await self._run(setting), beside, received)
        alone = await self._run(setting)
        return _Round(alone, *await self._beside(setting))

    async def _beside(self, setting: Setting) -> tuple[Run, dict[str, Any]]:
        paths = paths_of(self._campaigns)
        async with opened(self._stage.port, self._cookies, paths) as dashboards:
            beside = await self._run(setting)
            return beside, await dashboards.received()

    async def _run(self, setting: Setting) -> Run:
        return await run(self._stage, _TIMES * setting.seconds, campaigns=self._campaigns)


@asynccontextmanager
async def opened(port: int, cookies: str, paths: Sequence[str]) -> AsyncIterator["Dashboards"]:
    """A dashboard at each of *paths*, once all of them have their pages; closed with the block."""
    async with running(*module("tests.bench.dashboards", port, cookies, *paths)) as process:
        dashboards = Dashboards(process)

        async def _have_pages() -> bool:
            return int((await dashboards.received())["opened"]) == len(paths)

        await eventually(_have_pages)
        yield dashboards


class Dashboards:
    """The *process* that they are in."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def received(self) -> dict[str, Any]:
        """What they have received so far."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with timeout(_ANSWER_SECONDS):
            stdin.write(b"\n")
            await stdin.drain()
            received: dict[str, Any] = json.loads(await stdout.readline())
        return received


def _findings(name: str, rounds: Sequence[_Round]) -> Findings:
    return Findings(
        figures=[
            Figure(
                name,
                f"callbacks with {DASHBOARDS} open dashboards ÷ without",
                [each.beside.load.per_second / each.alone.load.per_second for each in rounds],
                _CALLBACKS,
            ),
            Figure(
                f"{name}_cpu",
                f"processor time for a callback with {DASHBOARDS} open dashboards ÷ without",
                [_cpu_ms(each.beside) / _cpu_ms(each.alone) for each in rounds],
            ),
            Figure(
                f"{name}_p99",
                f"p99 of callbacks with {DASHBOARDS} open dashboards ÷ without",
                [each.beside.load.p99_ms / each.alone.load.p99_ms for each in rounds],
            ),
            Figure(
                f"{name}_regions_per_second",
                "live regions that the dashboards ask for in a second",
                [each.regions / each.beside.load.seconds for each in rounds],
            ),
            Figure(
                f"{name}_region_ms",
                "ms for a live region while callbacks come",
                [each.received["cost_ms"] / max(1, each.regions) for each in rounds],
            ),
        ],
        faults=[f"{name}: {fault}" for each in rounds for fault in each.faults],
        details={name: [each.document() for each in rounds]},
    )


def _cpu_ms(one: Run) -> float:
    return one.service_ms + one.postgres_ms


GROUP: Final = Group(
    _NAME, f"how many callbacks are stored while {DASHBOARDS} dashboards are open", measure
)
