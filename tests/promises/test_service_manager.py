"""systemd hears that the service is ready, alive and ending; here, by a socket as it has."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises.conftest import StartService
from tests.promises.stage import Service, eventually

#: Pings come three times as often.
_WATCHDOG = {"WATCHDOG_USEC": "600000"}
_SILENCE_SECONDS = 3.0


class Manager:
    """What listens at NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.settings = {"NOTIFY_SOCKET": str(path), **_WATCHDOG}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(_SILENCE_SECONDS)

    async def hears(self, state: str) -> None:
        """Return when *state* is told; what comes before it is forgotten."""

        async def _heard() -> bool:
            return state in await self._next()

        await eventually(_heard)

    async def hears_nothing_more(self) -> None:
        """Return once nothing was told for a while."""

        async def _is_silent() -> bool:
            return not await self._next()

        await eventually(_is_silent)

    async def first(self) -> list[str]:
        """What is told first."""
        return await self._next()

    async def _next(self) -> list[str]:
        try:
            return (await asyncio.to_thread(self._socket.recv, 4096)).decode().split("\n")
        except TimeoutError:
            return []

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    manager = Manager(folder / "notify")
    yield manager
    manager.close()


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.slow)])
async def watched(
    request: pytest.FixtureRequest, start_service: StartService, manager: Manager
) -> Service:
    return await start_service(workers=request.param, settings=manager.settings)


async def test_it_is_ready_then_alive_then_stopping(watched: Service, manager: Manager) -> None:
    await manager.hears("READY=1")
    await manager.hears("WATCHDOG=1")
    await manager.hears("WATCHDOG=1")
    watched.process.terminate()
    await manager.hears("STOPPING=1")
    assert await asyncio.to_thread(watched.process.wait, 60) == 0


@pytest.mark.slow
async def test_a_worker_that_is_stuck_silences_all(
    start_service: StartService, manager: Manager
) -> None:
    service = await start_service(workers=2, settings=manager.settings)
    await manager.hears("WATCHDOG=1")
    stuck = service.workers()[0]
    os.kill(stuck, signal.SIGSTOP)
    await manager.hears_nothing_more()
    os.kill(stuck, signal.SIGCONT)
    await manager.hears("WATCHDOG=1")
