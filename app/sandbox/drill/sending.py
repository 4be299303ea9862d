"""The sender as the drill sees it: a process that is given orders."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final

from app.sandbox.drill.callbacks import Stream
from app.sandbox.drill.sender import Orders, Tally
from app.sandbox.processes import eventually

_END_SECONDS: Final = 20.0
_COMMAND: Final = (sys.executable, "-m", "app.sandbox.drill.sender")


class SenderProcess:
    """The process that posts callbacks; start it with `start`, and end it with `stop`."""

    def __init__(self, orders: Orders, log: Path) -> None:
        #: What it counted half a second ago.
        self.tally = Tally()
        self._orders = orders
        self._log = log
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to post."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env={name: value for name, value in os.environ.items() if "RECEIVER_" not in name},
                start_new_session=True,
            )
        self._reading = asyncio.create_task(self._read_tallies(self._process))
        self._write(self._orders.as_json())

    def burst(self, stream: Stream, items: int) -> None:
        """Post so many callbacks of *stream* at once, beside the others."""
        self._write(json.dumps({"burst": stream, "items": items}))

    def finish(self) -> None:
        """Send nothing new; repeat what is not acknowledged."""
        self._write(json.dumps({"finish": True}))

    async def settled(self, *, within_seconds: float) -> None:
        """
        Return once all callbacks are acknowledged, or are so large that they never will be.

        Raises:
            TimeoutError: they are not in time.
        """

        async def _is_settled() -> bool:
            return self.tally.is_settled

        await eventually(_is_settled, within_seconds=within_seconds)

    async def stop(self) -> int | None:
        """End it; its ledger is complete then. Return its exit code, None if it never started."""
        if self._process is None or self._reading is None:
            return None
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._reading
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def _write(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise ProcessLookupError("the sender was not started")
        self._process.stdin.write(line.encode() + b"\n")

    async def _read_tallies(self, process: Process) -> None:
        if process.stdout is None:
            return
        async for line in process.stdout:
            self.tally = Tally(**json.loads(line))
