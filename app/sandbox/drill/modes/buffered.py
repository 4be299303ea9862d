"""Buffered mode: `serve` acknowledges what a NATS cluster holds, and workers store it."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from app.sandbox.drill.mode import Build
from app.sandbox.drill.modes.direct import DirectMode
from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.serving import Injection, serving_kinds
from app.sandbox.drill.supervised import Supervised
from app.sandbox.nats_servers import NatsCluster
from app.sandbox.processes import WorkerProcess, eventually

_LANE: Final = "buffer"
_NODES: Final = 3
_WORKERS: Final = 2
_TIMEOUT_SECONDS: Final = 5.0


class BufferedMode(DirectMode):
    """The direct mode with three NATS servers and two workers between service and database."""

    name = "buffered"
    acknowledges_in_database = False

    def __init__(
        self, folder: Path, build: Build, settings: Mapping[str, str], *, seconds: float
    ) -> None:
        self._nats = NatsCluster(folder / "nats", nodes=_NODES)
        buffered = {
            "RECEIVER_BUFFER_URL": self._nats.url,
            "RECEIVER_BUFFER_MONITOR_URLS": self._nats.monitor_urls,
        }
        super().__init__(folder, build, {**settings, **buffered}, seconds=seconds)
        self._workers: list[Supervised] = []

    @property
    def crashes(self) -> list[str]:
        """What ended by itself although it should not, each in a sentence."""
        return super().crashes + [
            f"worker {number} ended by itself with exit code {code}"
            for number, worker in enumerate(self._workers, 1)
            for code in worker.crashes
        ]

    async def start(self) -> None:
        """Start everything; return when it is ready."""
        await self._nats.start()
        await super().start()
        for number in range(1, _WORKERS + 1):
            process = WorkerProcess(
                {**self._settings, "RECEIVER_DATABASE_URL": self.database_url},
                self._folder / f"work-{number}.log",
                command=self._build.command,
            )
            self._workers.append(Supervised(process))
        await asyncio.gather(*(worker.start() for worker in self._workers))
        self._injections |= dict(self._buffer_kinds())

    async def drain(self, *, within_seconds: float) -> None:
        """
        Return when the buffer is empty.

        Raises:
            TimeoutError: it is not in time.
        """

        async def _is_empty() -> bool:
            return await self._waiting_messages() == 0

        await eventually(_is_empty, within_seconds=within_seconds)

    async def durability_faults(self) -> list[str]:
        """Which servers acknowledge before the disk has it."""
        faults = []
        for document in await self._ask("varz"):
            config = document.get("jetstream", {}).get("config", {})
            if not config.get("sync_always"):
                faults.append(f"sync_interval of {document['server_name']} is not always")
        return faults

    async def _heal_database(self, *, within_seconds: float) -> None:
        for node in range(_NODES):
            self._nats.signal_node(node, signal.SIGCONT)
            self._nats.start_node(node)
        await self._nats.wait_until_ready()
        await super()._heal_database(within_seconds=within_seconds)
        for worker in self._workers:
            await worker.is_well(within_seconds=within_seconds)

    async def _restart_database(self) -> None:
        await asyncio.gather(*(worker.end() for worker in self._workers))
        await super()._restart_database()
        await asyncio.gather(*(worker.start() for worker in self._workers))

    async def _stop_database(self) -> None:
        for worker in self._workers:
            await worker.stop()
        await asyncio.to_thread(self._nats.stop)
        await super()._stop_database()

    def _buffer_kinds(self) -> list[tuple[FaultKind, Injection]]:
        """Each failure of a NATS server or of a worker, with what injects it."""
        return [
            (FaultKind("nats server killed", _LANE, (0.2, 3.0), weight=2), self._kill_node),
            (FaultKind("nats server frozen", _LANE, (0.5, 3.0)), self._freeze_node),
            *serving_kinds(self._workers, noun="worker"),
        ]

    async def _kill_node(self, fault: PlannedFault) -> None:
        node = int(fault.draw * _NODES)
        self._nats.kill_node(node)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._nats.start_node(node)
        await self._nats.wait_until_ready()

    async def _freeze_node(self, fault: PlannedFault) -> None:
        node = int(fault.draw * _NODES)
        self._nats.signal_node(node, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._nats.signal_node(node, signal.SIGCONT)

    async def _waiting_messages(self) -> int:
        """How many batches the stream has; -1 if no server says so now."""
        for document in await self._ask("jsz?accounts=1&streams=1"):
            for account in document.get("account_details", []):
                for stream in account.get("stream_detail", []):
                    return int(stream["state"]["messages"])
        return -1

    async def _ask(self, path: str) -> list[dict[str, Any]]:
        """What the monitoring of each server that answers says."""
        documents = []
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            for url in self._nats.monitor_urls.split(","):
                try:
                    documents.append((await client.get(f"{url}/{path}")).json())
                except (httpx.HTTPError, ValueError):
                    continue
        return documents
