"""Direct mode: two replicas of `serve`, and one PostgreSQL in which each 200 is committed."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from app.db.database import migrate_database
from app.db.drill.breaking import (
    LOCKED_TABLES,
    change_server,
    cut_sessions,
    execute,
    ingest_pids,
    lock_table,
    set_read_only,
)
from app.errors import DatabaseUnavailable, ReceiverError
from app.sandbox.drill.disk import LimitedDisk
from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.serving import Injection, serving_kinds
from app.sandbox.drill.supervised import Supervised
from app.sandbox.processes import RECEIVER, Postgres, ServiceProcess, eventually, free_port

log = structlog.get_logger()

#: The server loses what is not flushed when it is killed, and flushes by itself as seldom as it
#: can: only what the service asks for makes a commit last.
_SERVER_SETTINGS: Final = {
    "synchronous_commit": "off",
    "wal_writer_delay": "10s",
    "max_wal_size": "256MB",
}
#: For the files of a new server, and for those of a minute of callbacks.
_DISK_BYTES: Final = 700_000_000
_DISK_BYTES_PER_MINUTE: Final = 500_000_000
_REPLICAS: Final = 2
_REVIVE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Build:
    """
    What is put to the test.

    Attributes:
        command: The command line of the service, without a subcommand.
        statements: SQL to run in the database after its migration.
    """

    command: Sequence[str] = RECEIVER
    statements: str = ""


class DirectMode:
    """
    Runs and breaks the parts of the direct mode.

    Args:
        folder: For the data of PostgreSQL and the logs; empty.
        build: What is put to the test.
        settings: Those of the service, besides the address of the database.
        seconds: For how long callbacks are going to be sent.
    """

    name: Final = "direct"

    def __init__(
        self, folder: Path, build: Build, settings: Mapping[str, str], *, seconds: float
    ) -> None:
        self._build = build
        self._settings = settings
        self._seconds = seconds
        self._disk = LimitedDisk(folder / "data")
        self._folder = folder
        self._postgres = Postgres(self._disk.folder)
        self._is_postgres_held = True
        self._reviver: asyncio.Task[None] | None = None
        self._replicas: list[Supervised] = []
        #: Failures that this machine cannot have, each in a sentence.
        self.left_out: list[str] = []
        self._injections: dict[FaultKind, Injection] = {}

    @property
    def kinds(self) -> list[FaultKind]:
        """The failures that can be injected, once it was started."""
        return list(self._injections)

    @property
    def ports(self) -> list[int]:
        """The ports at which callbacks are taken."""
        return [replica.service.port for replica in self._replicas]

    @property
    def urls(self) -> list[str]:
        """The addresses of the API."""
        return [replica.service.url for replica in self._replicas]

    @property
    def database_url(self) -> str:
        """The URL of the database, for its superuser."""
        return self._postgres.url

    @property
    def crashes(self) -> list[str]:
        """What ended by itself although it should not, each in a sentence."""
        return [
            f"replica {number} ended by itself with exit code {code}"
            for number, replica in enumerate(self._replicas, 1)
            for code in replica.crashes
        ]

    async def start(self) -> None:
        """
        Start everything; return when it is ready.

        Raises:
            ReceiverError: PostgreSQL could not be started.
            TimeoutError, ProcessLookupError: the service did not become ready.
        """
        minutes = self._seconds / 60
        if not self._disk.mount(int(_DISK_BYTES + minutes * _DISK_BYTES_PER_MINUTE)):
            self.left_out.append("no full disk: a disk of limited size needs root, and memory")
        await self._postgres.start()
        await migrate_database(self.database_url)
        if self._build.statements:
            await execute(self.database_url, self._build.statements)
        await change_server(self.database_url, _SERVER_SETTINGS)
        self._is_postgres_held = False
        self._reviver = asyncio.create_task(self._revive(), name="reviver of PostgreSQL")
        for number in range(1, _REPLICAS + 1):
            service = ServiceProcess(
                {**self._settings, "RECEIVER_DATABASE_URL": self.database_url},
                self._folder / f"serve-{number}.log",
                port=free_port(),
                command=self._build.command,
            )
            self._replicas.append(Supervised(service))
        await asyncio.gather(*(replica.start() for replica in self._replicas))
        self._injections = dict(self._kinds())

    async def inject(self, fault: PlannedFault) -> bool:
        """Let *fault* happen, and undo it; return whether it happened."""
        try:
            await self._injections[fault.kind](fault)
        except (ReceiverError, ProcessLookupError) as error:
            # Another failure was there already.
            log.debug("fault missed", fault=fault.kind.name, error=str(error))
            return False
        return True

    async def heal(self, *, within_seconds: float) -> None:
        """
        End what is left of the failures; return when everything is ready.

        Raises:
            TimeoutError: it is not in time.
        """
        async with asyncio.timeout(within_seconds):
            self._disk.free()
            await eventually(self._is_writable, within_seconds=within_seconds)
            for replica in self._replicas:
                await replica.is_well(within_seconds=within_seconds)

    async def restart(self) -> list[str]:
        """Stop everything as an operator does and start it again; return what went wrong."""
        codes = await asyncio.gather(*(replica.end() for replica in self._replicas))
        faults = [f"a replica ended with exit code {code}" for code in codes if code != 0]
        async with self._held_postgres():
            await self._postgres.stop()
        await asyncio.gather(*(replica.start() for replica in self._replicas))
        return faults

    async def stop(self) -> None:
        """End all processes, and remove the disk."""
        for replica in self._replicas:
            await replica.stop()
        if self._reviver is not None:
            self._reviver.cancel()
            await asyncio.wait({self._reviver})
        self._disk.free()
        await self._postgres.stop()
        if self._disk.is_mounted and self._postgres.log.exists():
            shutil.copy(self._postgres.log, self._folder)
        self._disk.unmount()

    def _kinds(self) -> list[tuple[FaultKind, Injection]]:
        """Each failure with what injects it."""
        postgres: list[tuple[FaultKind, Injection]] = [
            (FaultKind("postgres killed", "postgres", (0.2, 3.0), weight=3), self._kill_postgres),
            (FaultKind("postgres frozen", "postgres", (0.5, 4.0), weight=2), self._freeze_postgres),
            (FaultKind("postgres restarted", "postgres", (0.1, 2.0)), self._restart_postgres),
        ]
        if self._disk.is_mounted:
            postgres.append(
                (FaultKind("disk full", "postgres", (1.0, 4.0), weight=2), self._fill_disk)
            )
        sessions: list[tuple[FaultKind, Injection]] = [
            (FaultKind("ingest sessions cut", "sessions", (0.0, 0.0), weight=3), self._cut_ingest),
            (FaultKind("all sessions cut", "sessions", (0.0, 0.0)), self._cut_all),
            (FaultKind("session frozen", "sessions", (0.5, 3.0), weight=3), self._freeze_session),
            (FaultKind("table locked", "sessions", (0.5, 3.0), weight=3), self._lock_table),
            (FaultKind("database read-only", "sessions", (0.5, 2.0)), self._be_read_only),
        ]
        return [
            *postgres,
            *sessions,
            *serving_kinds(self._replicas),
        ]

    async def _kill_postgres(self, fault: PlannedFault) -> None:
        async with self._held_postgres():
            self._postgres.kill()
            await asyncio.sleep(fault.seconds)

    async def _restart_postgres(self, fault: PlannedFault) -> None:
        async with self._held_postgres():
            await self._postgres.stop()
            await asyncio.sleep(fault.seconds)

    async def _freeze_postgres(self, fault: PlannedFault) -> None:
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

    async def _cut_ingest(self, _fault: PlannedFault) -> None:
        await cut_sessions(self.database_url, only_ingest=True)

    async def _cut_all(self, _fault: PlannedFault) -> None:
        await cut_sessions(self.database_url, only_ingest=False)

    async def _freeze_session(self, fault: PlannedFault) -> None:
        pids = await ingest_pids(self.database_url)
        if not pids:
            raise DatabaseUnavailable("no session stores callbacks")
        self._postgres.freeze_backend(pids[int(fault.draw * len(pids))])
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._postgres.thaw()

    async def _lock_table(self, fault: PlannedFault) -> None:
        table = LOCKED_TABLES[int(fault.draw * len(LOCKED_TABLES))]
        await lock_table(self.database_url, table, fault.seconds)

    async def _be_read_only(self, fault: PlannedFault) -> None:
        await set_read_only(self.database_url, read_only=True)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            with suppress(TimeoutError):  # `heal` goes on
                await eventually(self._is_writable)

    @asynccontextmanager
    async def _held_postgres(self) -> AsyncIterator[None]:
        """PostgreSQL may be down in the block, and is up after it."""
        self._is_postgres_held = True
        try:
            yield
        finally:
            with suppress(ReceiverError):  # the reviver goes on
                await self._postgres.start()
            self._is_postgres_held = False

    async def _revive(self) -> None:
        """Start PostgreSQL again whenever it ends by itself, as on a full disk."""
        while True:
            await asyncio.sleep(_REVIVE_SECONDS)
            if not self._is_postgres_held:
                with suppress(ReceiverError):
                    await self._postgres.revive()

    async def _is_writable(self) -> bool:
        """Whether PostgreSQL answers and takes writes."""
        try:
            await set_read_only(self.database_url, read_only=False)
        except ReceiverError:
            return False
        return True
