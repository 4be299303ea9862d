"""A process of the service that is started again whenever it ends, as by systemd."""

import asyncio
from contextlib import suppress
from typing import Final

from app.sandbox.processes import ServiceProcess, eventually

_RESTART_SECONDS: Final = 0.3
_WATCH_SECONDS: Final = 0.2
#: For a start while other failures go on.
_READY_SECONDS: Final = 20.0
#: A start after a failure of the database ends with it.
_GIVEN_UP: Final = 1


class Supervised:
    """
    Keeps one process of the service running, except while a failure holds it down.

    Attributes:
        service: The process.
        crashes: The exit codes with which it ended by itself after it had come up.
    """

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        self.crashes: list[int] = []
        self._is_held_down = True
        self._startups = 0
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and keep it running; return when it is ready."""
        await self.service.start()
        self._is_held_down = False
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.service.port}")

    async def kill(self, *, down_seconds: float) -> None:
        """SIGKILL it, and start it again after some seconds; return when it is ready, or nearly."""
        self._is_held_down = True
        self.service.kill()
        await self._start_again(down_seconds)

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP it for some seconds."""
        self.service.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.service.thaw()

    async def restart(self, settings: dict[str, str], *, down_seconds: float) -> None:
        """End it by SIGTERM, and start it again with other settings; return as `kill` does."""
        self._is_held_down = True
        was_up = self.service.startups > self._startups
        code, _ = await self.service.end()
        if code != 0 and was_up:
            self.crashes.append(code)
        self.service.settings.update(settings)
        await self._start_again(down_seconds)

    async def is_well(self, *, within_seconds: float) -> None:
        """
        Return when it is ready.

        Raises:
            TimeoutError: it is not in time.
        """
        async with asyncio.timeout(within_seconds):

            async def _runs() -> bool:
                return self.service.is_running

            while True:
                await eventually(_runs, within_seconds=within_seconds)
                with suppress(ProcessLookupError):  # it ended, and is started again
                    return await self.service.is_well(within_seconds=within_seconds)

    async def end(self) -> int:
        """End it by SIGTERM for good; return its exit code."""
        await self._let_go()
        code, _ = await self.service.end()
        return code

    async def stop(self) -> None:
        """SIGKILL it for good."""
        await self._let_go()
        self.service.kill()

    async def _start_again(self, down_seconds: float) -> None:
        try:
            await asyncio.sleep(down_seconds)
        finally:
            self._launch()
            self._is_held_down = False
        # Otherwise a slow machine would have no replica that is ready, and show nothing.
        with suppress(TimeoutError):
            await self.is_well(within_seconds=_READY_SECONDS)

    def _launch(self) -> None:
        self._startups = self.service.startups
        self.service.launch()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._is_absent():
                code = self.service.process.returncode
                if self.service.startups > self._startups or code != _GIVEN_UP:
                    self.crashes.append(code)
                await asyncio.sleep(_RESTART_SECONDS)
                if self._is_absent():  # no failure has begun and ended meanwhile
                    self._launch()

    def _is_absent(self) -> bool:
        """Whether it has ended, and no failure holds it down."""
        return not self._is_held_down and not self.service.is_running

    async def _let_go(self) -> None:
        self._is_held_down = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
