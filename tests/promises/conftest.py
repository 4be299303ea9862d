"""A PostgreSQL that each test may stop and kill, and services in front of it."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from app.db.database import migrate_database
from app.db.payloads import opened
from app.embedded import EmbeddedPostgres
from app.sandbox.replicas import ReplicaSet
from tests.database import connect
from tests.promises.load import Callback
from tests.promises.stage import Postgres, Service

StartService = Callable[..., Awaitable[Service]]

_MEMORY = Path("/dev/shm")  # noqa: S108 (with a folder of our own, mode 0700, in it)
_ENOUGH_BYTES = 2_000_000_000


def _scratch_folder() -> "tempfile.TemporaryDirectory[str]":
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    return tempfile.TemporaryDirectory(prefix="promises-", dir=_MEMORY if roomy else None)


async def _make_template(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as url:
        await migrate_database(url)


@pytest.fixture(scope="session")
def template_dir() -> Iterator[Path]:
    """A data directory with the current schema; its server does not run."""
    with _scratch_folder() as folder:
        asyncio.run(_make_template(Path(folder)))
        yield Path(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """For whatever a test writes."""
    with _scratch_folder() as folder:
        yield Path(folder)


@pytest.fixture
async def postgres(folder: Path, template_dir: Path) -> AsyncIterator[Postgres]:
    """A running PostgreSQL of this test's own."""
    data_dir = folder / "data"
    subprocess.run(["cp", "-a", template_dir, data_dir], check=True)  # noqa: ASYNC221, S603, S607
    postgres = Postgres(data_dir)
    await postgres.start()
    yield postgres
    await postgres.stop()


@pytest.fixture
async def start_service(postgres: Postgres, folder: Path) -> AsyncIterator[StartService]:
    """Starts services on that PostgreSQL; none outlives the test."""
    services: list[Service] = []

    async def _start(  # noqa: PLR0913 (each by its name)
        *,
        workers: int = 1,
        surface: str = "all",
        has_operations_port: bool = False,
        has_api_port: bool = False,
        drain_seconds: float = 0,
        settings: Mapping[str, str] | None = None,
    ) -> Service:
        service = Service(
            postgres.url,
            folder,
            workers=workers,
            surface=surface,
            has_operations_port=has_operations_port,
            has_api_port=has_api_port,
            drain_seconds=drain_seconds,
            settings=settings,
        )
        services.append(service)
        await service.start()
        return service

    yield _start
    for service in services:
        service.kill()


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """A service with one process."""
    return await start_service()


@pytest.fixture
async def look(postgres: Postgres) -> AsyncIterator["Look"]:
    """Looks into the database, also after it was started again."""
    look = Look(postgres)
    yield look
    await look.close()


class Look:
    """What is really stored."""

    def __init__(self, postgres: Postgres | ReplicaSet) -> None:
        self._postgres = postgres
        self._connection: asyncpg.Connection | None = None

    async def connection(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._postgres.url)
        return self._connection

    async def execute(self, statement: str) -> None:
        await (await self.connection()).execute(statement)

    async def number(self, query: str) -> int:
        """The one number that *query* gives."""
        return int(await (await self.connection()).fetchval(query))

    async def stored(self) -> set[Callback]:
        """Each event with its payload as a reader gets it, empty where it was removed."""
        rows = await (await self.connection()).fetch(
            "SELECT message_tracking_id, status_key, payload, payload_dictionary FROM events"
        )
        return {
            Callback((row[0], row[1]), b"" if row[2] is None else opened(row[2], row[3]))
            for row in rows
        }

    async def counts(self) -> dict[tuple[str, str], int]:
        """The counts as readers see them: what is folded and what is not yet."""
        rows = await (await self.connection()).fetch(
            "SELECT campaign_tracking_id, status, sum(messages)::int FROM ("
            "  SELECT campaign_tracking_id, status, messages FROM campaign_counts"
            "  UNION ALL"
            "  SELECT campaign_tracking_id, status, messages FROM campaign_count_deltas"
            ") AS parts GROUP BY 1, 2 HAVING sum(messages) <> 0"
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def recount(self) -> dict[tuple[str, str], int]:
        """The same, counted from the messages."""
        rows = await (await self.connection()).fetch(
            "SELECT campaign_tracking_id, status, count(*)::int FROM messages"
            " WHERE campaign_tracking_id IS NOT NULL GROUP BY 1, 2"
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def recount_of_events(self) -> dict[tuple[str, str], int]:
        """The same, counted from the events: each message by its greatest one."""
        rows = await (await self.connection()).fetch(
            "SELECT campaign, status, count(*)::int FROM ("
            "  SELECT DISTINCT ON (message_tracking_id)"
            "    min(campaign_tracking_id) OVER (PARTITION BY message_tracking_id) AS campaign,"
            "    coalesce(s.status, 'UNKNOWN') AS status"
            "  FROM events LEFT JOIN statuses AS s ON s.status = status_key"
            "  ORDER BY message_tracking_id, coalesce(rank, 0) DESC, occurred_at DESC,"
            "    status_key DESC"
            ") AS latest WHERE campaign IS NOT NULL GROUP BY 1, 2"
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._connection.terminate()
