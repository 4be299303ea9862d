"""What all modes have in common: replicas of the service, and failures by their kinds."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import structlog

from app.db.drill.breaking import execute
from app.errors import ReceiverError
from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.serving import Injection, serving_kinds
from app.sandbox.drill.supervised import Supervised
from app.sandbox.processes import RECEIVER, ServiceProcess, free_port

log = structlog.get_logger()

_REPLICAS: Final = 2


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


class Mode(ABC):
    """
    Runs and breaks the parts of one mode.

    Args:
        folder: For the data and the logs; empty.
        build: What is put to the test.
        settings: Those of the service, besides the address of the database.
        seconds: For how long callbacks are going to be sent.
    """

    name: ClassVar[str]
    #: Whether a 200 is a commit in the database.
    acknowledges_in_database: ClassVar[bool] = True

    def __init__(
        self, folder: Path, build: Build, settings: Mapping[str, str], *, seconds: float
    ) -> None:
        self._folder = folder
        self._build = build
        self._settings = settings
        self._seconds = seconds
        self._replicas: list[Supervised] = []
        self._injections: dict[FaultKind, Injection] = {}
        #: Failures that this machine cannot have, each in a sentence.
        self.left_out: list[str] = []

    @property
    @abstractmethod
    def database_url(self) -> str:
        """The URL of the database that takes writes, for its superuser."""

    @property
    def needed_settings(self) -> Mapping[str, str]:
        """Settings that the server must have besides those that every durable server has."""
        return {}

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
    def crashes(self) -> list[str]:
        """What ended by itself although it should not, each in a sentence."""
        return [
            f"replica {number} ended by itself with exit code {code}"
            for number, replica in enumerate(self._replicas, 1)
            for code in replica.crashes
        ]

    @abstractmethod
    async def start(self) -> None:
        """
        Start everything; return when it is ready.

        Raises:
            ReceiverError: a database could not be started.
            TimeoutError, ProcessLookupError: the service did not become ready.
        """

    async def inject(self, fault: PlannedFault) -> bool:
        """Let *fault* happen, and undo it; return whether it happened."""
        try:
            await self._injections[fault.kind](fault)
        except (ReceiverError, ProcessLookupError, FileNotFoundError) as error:
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
            await self._heal_database(within_seconds=within_seconds)
            for replica in self._replicas:
                await replica.is_well(within_seconds=within_seconds)

    async def drain(self, *, within_seconds: float) -> None:  # noqa: B027 (in one mode only)
        """
        Return when all that was acknowledged is in the database.

        Raises:
            TimeoutError: it is not in time.
        """

    async def durability_faults(self) -> list[str]:
        """What is wrong with the settings of other stores than the database."""
        return []

    async def restart(self) -> list[str]:
        """Stop everything as an operator does and start it again; return what went wrong."""
        codes = await asyncio.gather(*(replica.end() for replica in self._replicas))
        await self._restart_database()
        await asyncio.gather(*(replica.start() for replica in self._replicas))
        return [f"a replica ended with exit code {code}" for code in codes if code != 0]

    async def stop(self) -> None:
        """End all processes."""
        for replica in self._replicas:
            await replica.stop()
        await self._stop_database()

    async def _start_replicas(self, more: Iterable[tuple[FaultKind, Injection]]) -> None:
        """Start the replicas on a migrated database. *more* are the failures besides theirs."""
        if self._build.statements:
            await execute(self.database_url, self._build.statements)
        for number in range(1, _REPLICAS + 1):
            service = ServiceProcess(
                {**self._settings, "RECEIVER_DATABASE_URL": self.database_url},
                self._folder / f"serve-{number}.log",
                port=free_port(),
                command=self._build.command,
            )
            self._replicas.append(Supervised(service))
        await asyncio.gather(*(replica.start() for replica in self._replicas))
        self._injections = dict([*more, *serving_kinds(self._replicas)])

    @abstractmethod
    async def _heal_database(self, *, within_seconds: float) -> None:
        """End what is left of its failures; return when it takes writes."""

    @abstractmethod
    async def _restart_database(self) -> None:
        """Stop it and start it again."""

    @abstractmethod
    async def _stop_database(self) -> None:
        """Stop it for good."""
