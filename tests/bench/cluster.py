"""A PostgreSQL of a contender's own, and what it spends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from app.db.database import migrate_database
from app.embedded.process_files import find_pid_file
from tests.bench.cost import cpu_seconds, cpu_seconds_of
from tests.database import connect
from tests.promises.stage import Postgres, children_of, eventually

#: Makes `plain.events` and `plain.messages`, the tables of contenders.
PLAIN_TABLES: Final = Path(__file__).with_name("plain_tables.sql")


class Cluster:
    """A running server; its events are the rows of the table *events*."""

    def __init__(self, url: str, folder: Path, *, events: str = "events") -> None:
        self.url = url
        self._folder = folder
        self._count = f"SELECT count(*) FROM {events}"  # noqa: S608 (no user's)

    def cpu_seconds(self) -> float:
        """Of all its processes so far."""
        found = find_pid_file(self._folder)
        assert found is not None
        backends = cpu_seconds_of(children_of(found.pid))
        return backends + cpu_seconds(found.pid, with_ended_children=True)

    async def rows(self) -> int:
        """How many events are stored."""
        return int(await self.value(self._count))

    async def rows_at_rest(self) -> int:
        """The same, once it stays the same: what a client no longer waits for may still come."""
        seen = -1

        async def _is_at_rest() -> bool:
            nonlocal seen
            before, seen = seen, await self.rows()
            return before == seen

        await eventually(_is_at_rest)
        return seen

    async def value(self, query: str) -> Any:  # noqa: ANN401 (whatever the query gives)
        """The first column of the first row of *query*."""
        connection = await connect(self.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def run(self, script: str) -> None:
        """Run the statements of *script*, in one transaction if there are several."""
        connection = await connect(self.url)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    async def require_durable(self) -> None:
        """Refuse to measure a PostgreSQL that does not write what it acknowledges."""
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await self.value(f"SHOW {setting}") == "on", setting


@asynccontextmanager
async def clustered(folder: Path, *, events: str = "events") -> AsyncIterator[Cluster]:
    """A PostgreSQL in *folder* with the tables of the service, ended with the block."""
    data_dir = folder / "data"
    data_dir.mkdir(parents=True)
    postgres = Postgres(data_dir)
    try:
        await postgres.start()
        await migrate_database(postgres.url)
        cluster = Cluster(postgres.url, data_dir / "postgres", events=events)
        await cluster.require_durable()
        yield cluster
    finally:
        await postgres.stop()
