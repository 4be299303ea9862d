"""The service: by itself, with 500 clients that long-poll its feed, and with other texts."""

import json
from asyncio import timeout
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.bench.callbacks import Texts
from tests.bench.contenders.contender import House, Posted, Runner
from tests.bench.group import Say
from tests.bench.processes import module, running
from tests.bench.run import Run, run
from tests.bench.stage import SETTLING_SECONDS, Stage, staged
from tests.promises.stage import eventually

CLIENTS: Final = 500


class _Followers:
    def __init__(self, process: Process) -> None:
        self._process = process

    async def received(self) -> dict[str, Any]:
        """What they have received so far."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with timeout(SETTLING_SECONDS):
            stdin.write(b"\n")
            await stdin.drain()
            received: dict[str, Any] = json.loads(await stdout.readline())
        return received

    async def woken(self) -> int:
        """How many have received something, once all have or it takes too long."""

        async def _all() -> bool:
            return int((await self.received())["woken"]) == CLIENTS

        with suppress(TimeoutError):
            await eventually(_all, within_seconds=SETTLING_SECONDS)
        return int((await self.received())["woken"])


class _Followed:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self, seconds: int) -> Run:
        async with _following(self._stage) as followers:
            measured = await run(self._stage, seconds)
            measured.feed = await followers.received()
            measured.feed["woken_at_last"] = await followers.woken()
        measured.faults += _faults_of(measured.feed)
        return measured


@asynccontextmanager
async def _following(stage: Stage) -> AsyncIterator[_Followers]:
    """All of them, waiting."""
    command = module("tests.bench.followers", stage.port, stage.key, CLIENTS)
    async with running(*command) as process:

        async def _all_wait() -> bool:
            return await stage.metric("receiver_feed_waiting") == CLIENTS

        await eventually(_all_wait)
        yield _Followers(process)


def _faults_of(received: dict[str, Any]) -> list[str]:
    faults = []
    if received["woken_at_last"] != CLIENTS:
        faults.append(f"only {received['woken_at_last']} of {CLIENTS} clients received something")
    if received["failures"]:
        faults.append(f"clients of the feed failed: {received['failures'][:3]}")
    return faults


@asynccontextmanager
async def _opened(folder: Path, _say: Say) -> AsyncIterator[Mapping[str, Runner]]:
    async with staged(folder) as stage:
        yield {
            "ours": Posted(stage),
            "same": Posted(stage, texts=Texts.SAME),
            "personal": Posted(stage, texts=Texts.PERSONAL),
            "followed": _Followed(stage),
        }


_SAYS: Final = {
    "ours": "the service",
    "same": "the service, when all messages of a campaign have the same text",
    "personal": "the service, when each message has a personal text",
    "followed": f"the service, while {CLIENTS} clients long-poll the feed",
}
HOUSE: Final = House(_SAYS, _opened)
