"""What `routee-receiver serve` with a PostgreSQL of its own takes while no client asks anything."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.embedded.process_files import find_pid_file
from tests.bench.cost import cpu_seconds, cpu_seconds_of
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.promises.stage import Service, children_of

#: Until all that belongs to a start is done.
_SETTLING_SECONDS: Final = 10
_SECONDS: Final = 60
_SAID_EVERY_SECONDS: Final = 15
_BOUND: Final = Bound(1.0, is_ceiling=True)


class _Alone(Service):
    """The service as it runs without any database being named."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        super().__init__("", folder)
        del self.settings["RECEIVER_DATABASE_URL"]
        self.settings["RECEIVER_DATA_DIR"] = str(data_dir)
        self._cluster = data_dir / "postgres"

    def cpu_seconds(self) -> float:
        """Of all its processes, and of those that PostgreSQL has ended."""
        postmaster = find_pid_file(self._cluster)
        assert postmaster is not None
        pids = {*_family(self.process.pid), *_family(postmaster.pid)} - {postmaster.pid}
        return cpu_seconds_of(pids) + cpu_seconds(postmaster.pid, with_ended_children=True)


async def measure(setting: Setting) -> Findings:
    """One minute, however many rounds there are: the figure is the sum of all wake-ups."""
    async with _serving(setting.folder) as service:
        await asyncio.sleep(_SETTLING_SECONDS)
        percent = await _percent(service, setting)
    says = "% of one core, idle, with its own PostgreSQL"
    return Findings([Figure("idle_percent", says, [percent], _BOUND)])


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[_Alone]:
    service = _Alone(folder / "data", folder)
    try:
        await service.start()
        try:
            yield service
        finally:
            await service.end()
    finally:
        service.kill()


async def _percent(service: _Alone, setting: Setting) -> float:
    started, spent = time.monotonic(), service.cpu_seconds()
    for gone in range(0, _SECONDS, _SAID_EVERY_SECONDS):
        setting.say(f"watching an idle service: {_SECONDS - gone} s to go")
        await asyncio.sleep(_SAID_EVERY_SECONDS)
    return 100 * (service.cpu_seconds() - spent) / (time.monotonic() - started)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in children_of(pid):
        yield from _family(child)


GROUP: Final = Group("idle", "what an idle service takes, in a minute", measure)
