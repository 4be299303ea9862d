"""Direct mode: replicas of `serve`, and one PostgreSQL in which each 200 is committed."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from app.db.database import migrate_database
from app.db.drill.breaking import change_server
from app.errors import ReceiverError
from app.sandbox.drill.disk import LimitedDisk
from app.sandbox.drill.mode import Build, Mode
from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.serving import Injection
from app.sandbox.drill.sessions import session_kinds, takes_writes
from app.sandbox.processes import Postgres, eventually

#: The server loses what is not flushed when it is killed, and flushes by itself as seldom as it
#: can: only what the service asks for makes a commit last.
SERVER_SETTINGS: Final = {
    "synchronous_commit": "off",
    "wal_writer_delay": "10s",
    "max_wal_size": "256MB",
}
#: For the files of a new server, and for those of a minute of callbacks.
_DISK_BYTES: Final = 700_000_000
_DISK_BYTES_PER_MINUTE: Final = 500_000_000
_REVIVE_SECONDS: Final = 0.5
_LANE: Final = "postgres"


class DirectMode(Mode):
    """Two replicas and one server, on a disk of limited size if this process may have one."""

    name = "direct"

    def __init__(
        self, folder: Path, build: Build, settings: Mapping[str, str], *, seconds: float
    ) -> None:
        super().__init__(folder, build, settings, seconds=seconds)
        self._disk = LimitedDisk(folder / "data")
        self._postgres = Postgres(self._disk.folder)
        self._is_held = True
        self._reviver: asyncio.Task[None] | None = None

    @property
    def database_url(self) -> str:
        """The URL of the one server."""
        return self._postgres.url

    async def start(self) -> None:
        """Start everything; return when it is ready."""
        minutes = self._seconds / 60
        if not self._disk.mount(int(_DISK_BYTES + minutes * _DISK_BYTES_PER_MINUTE)):
            self.left_out.append("no full disk: a disk of limited size needs root, and memory")
        await self._postgres.start()
        await migrate_database(self.database_url)
        await change_server(self.database_url, SERVER_SETTINGS)
        self._is_held = False
        self._reviver = asyncio.create_task(self._revive(), name="reviver of PostgreSQL")
        await self._start_replicas(self._database_kinds())

    async def _heal_database(self, *, within_seconds: float) -> None:
        async def _is_writable() -> bool:
            return await takes_writes(self.database_url)

        self._disk.free()
        await eventually(_is_writable, within_seconds=within_seconds)

    async def _restart_database(self) -> None:
        async with self._held():
            await self._postgres.stop()

    async def _stop_database(self) -> None:
        if self._reviver is not None:
            self._reviver.cancel()
            await asyncio.wait({self._reviver})
        self._disk.free()
        await self._postgres.stop()
        if self._disk.is_mounted and self._postgres.log.exists():
            shutil.copy(self._postgres.log, self._folder)
        self._disk.unmount()

    def _database_kinds(self) -> list[tuple[FaultKind, Injection]]:
        """Each failure of the server and of its sessions, with what injects it."""
        kinds: list[tuple[FaultKind, Injection]] = [
            (FaultKind("postgres killed", _LANE, (0.2, 3.0), weight=3), self._kill),
            (FaultKind("postgres frozen", _LANE, (0.5, 4.0), weight=2), self._freeze),
            (FaultKind("postgres restarted", _LANE, (0.1, 2.0)), self._restart),
        ]
        if self._disk.is_mounted:
            kinds.append((FaultKind("disk full", _LANE, (1.0, 4.0), weight=2), self._fill_disk))
        sessions = session_kinds(
            lambda: self.database_url,
            freeze=self._postgres.freeze_backend,
            thaw=self._postgres.thaw,
        )
        return [*kinds, *sessions]

    async def _kill(self, fault: PlannedFault) -> None:
        async with self._held():
            self._postgres.kill()
            await asyncio.sleep(fault.seconds)

    async def _restart(self, fault: PlannedFault) -> None:
        async with self._held():
            await self._postgres.stop()
            await asyncio.sleep(fault.seconds)

    async def _freeze(self, fault: PlannedFault) -> None:
        self._postgres.freeze()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._postgres.thaw()

    async def _fill_disk(self, fault: PlannedFault) -> None:
        self._disk.fill()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._disk.free()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """PostgreSQL may be down in the block, and is up after it."""
        self._is_held = True
        try:
            yield
        finally:
            with suppress(ReceiverError):  # the reviver goes on
                await self._postgres.start()
            self._is_held = False

    async def _revive(self) -> None:
        """Start PostgreSQL again whenever it ends by itself, as on a full disk."""
        while True:
            await asyncio.sleep(_REVIVE_SECONDS)
            if not self._is_held:
                with suppress(ReceiverError):
                    await self._postgres.revive()
