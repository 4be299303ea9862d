"""Another revision of the service, on the embedded PostgreSQL of that revision."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from tests.bench.callbacks import Texts
from tests.bench.cluster import Cluster
from tests.bench.contenders.contender import House, Posted, Runner, Unavailable
from tests.bench.group import Say
from tests.bench.processes import output_of, running
from tests.bench.stage import Stage
from tests.promises.stage import Service

#: Which contender of today's each is compared with.
BEFORE: Final = {"ours": "before", "same": "before_same", "personal": "before_personal"}
_ROOT: Final = Path(__file__).parents[3]
_SCRIPT: Final = Path(__file__).with_name("revision_postgres.py")
_PATIENCE_SECONDS: Final = 60
#: The schema of the tables was another one once.
_EVENTS: Final = """
SELECT CASE WHEN to_regclass('receiver.events') IS NULL THEN 'public.events'
    ELSE 'receiver.events' END
"""


class _Service(Service):
    """One whose code is that of *tree*."""

    def __init__(self, database_url: str, folder: Path, tree: Path) -> None:
        super().__init__(database_url, folder)
        self.settings["PYTHONPATH"] = str(tree)


def house_of(revision: str) -> House:
    """The service of *revision*, with each kind of texts."""

    @asynccontextmanager
    async def _opened(folder: Path, _say: Say) -> AsyncIterator[Mapping[str, Runner]]:
        tree, data_dir = _made(folder / "tree"), _made(folder / "data")
        await _export(revision, tree)
        async with _staged(folder, data_dir, tree) as stage:
            yield {
                "before": Posted(stage),
                "before_same": Posted(stage, texts=Texts.SAME),
                "before_personal": Posted(stage, texts=Texts.PERSONAL),
            }

    says = f"the service of {revision}"
    return House(
        {
            "before": says,
            "before_same": f"{says}, same texts",
            "before_personal": f"{says}, personal texts",
        },
        _opened,
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


async def _export(revision: str, tree: Path) -> None:
    """Write the files of *revision*. No worktree is made, which git would have to forget again."""
    archive = tree.with_suffix(".tar")
    await _done("git", "-C", _ROOT, "archive", f"--output={archive}", revision, "app", "migrations")
    await _done("tar", "-xf", archive, "-C", tree)


async def _done(*command: object) -> None:
    said = await output_of(*command, patience_seconds=_PATIENCE_SECONDS)
    if said.code != 0:
        raise Unavailable(said.text.strip()[-300:])


@asynccontextmanager
async def _staged(folder: Path, data_dir: Path, tree: Path) -> AsyncIterator[Stage]:
    async with _database(data_dir, tree) as url:
        cluster = Cluster(url, data_dir / "postgres", events=await _events_of(url))
        await cluster.require_durable()
        service = _Service(url, folder, tree)
        try:
            await service.start()
            yield Stage(cluster, service, key="", workers=1)
        finally:
            service.kill()


@asynccontextmanager
async def _database(data_dir: Path, tree: Path) -> AsyncIterator[str]:
    """The URL of a database that the code in *tree* has made; its server ends with the block."""
    command = (sys.executable, "-P", _SCRIPT, data_dir)
    environment, log = {**os.environ, "PYTHONPATH": str(tree)}, data_dir / "migrated.log"
    async with running(*command, environment=environment, log=log) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        async with asyncio.timeout(_PATIENCE_SECONDS):
            url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise Unavailable(f"its database cannot be made: {_end_of(log)}")
        try:
            yield url
        finally:
            process.stdin.close()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await process.wait()


def _end_of(log: Path) -> str:
    return log.read_text()[-300:]


async def _events_of(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval(_EVENTS))
    finally:
        await connection.close()
