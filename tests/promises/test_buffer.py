"""Buffered mode: what the NATS cluster has acknowledged is stored, whatever is killed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.sandbox.nats_servers import NatsCluster
from tests.promises.conftest import Look, StartService
from tests.promises.load import (
    Sender,
    assert_each_is_stored_or_to_be_repeated_in_time,
    endless,
)
from tests.promises.stage import Postgres, Service, eventually, posting

_STREAM = "receiver-callbacks"
#: A batch whose worker was killed is delivered again after half of this.
_DRAINED_SECONDS = 60.0


class _Worker:
    """`routee-receiver work` as a process."""

    def __init__(self, database_url: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.log = folder / "work.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if "RECEIVER_" not in name},
            "RECEIVER_DATABASE_URL": database_url,
            "RECEIVER_LOG_FORMAT": "json",
            **settings,
        }
        self.process = self._started()

    def _started(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own program)
                [str(Path(sys.executable).parent / "routee-receiver"), "work"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def start_again(self) -> None:
        self.process = self._started()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def end(self) -> int:
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 20)


@asynccontextmanager
async def _working(
    database_url: str, folder: Path, settings: Mapping[str, str]
) -> AsyncIterator[_Worker]:
    worker = _Worker(database_url, folder, settings)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
async def cluster(folder: Path) -> AsyncIterator[NatsCluster]:
    async with NatsCluster(folder / "nats") as cluster:
        yield cluster


@pytest.fixture
def settings(cluster: NatsCluster) -> dict[str, str]:
    return {
        "RECEIVER_BUFFER_URL": cluster.url,
        "RECEIVER_BUFFER_MONITOR_URLS": cluster.monitor_urls,
        "RECEIVER_BUFFER_MAX_BYTES": str(256 * 1024**2),
    }


async def _backlog(service: Service) -> int:
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.get(f"{service.url}/readyz")
    return int(answer.json()["buffer"]["batches"]) if answer.is_success else -1


async def _is_drained(service: Service) -> None:
    async def _is_empty() -> bool:
        return await _backlog(service) == 0

    await asyncio.sleep(2.5)  # the backlog is measured every 2 seconds
    await eventually(_is_empty, within_seconds=_DRAINED_SECONDS)


async def _assert_all_is_stored(sender: Sender, look: Look) -> None:
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert {answer.body for answer in sender.answers if answer.status == 200} == {
        b'{"result":"buffered"}'
    }
    assert sender.acknowledged <= await look.stored()
    assert await look.number("SELECT count(*) FROM quarantine") == 0
    assert await look.counts() == await look.recount() == await look.recount_of_events()


@pytest.mark.slow
async def test_while_postgres_is_away_no_callback_is_refused_and_all_are_stored_afterwards(
    start_service: StartService,
    postgres: Postgres,
    settings: dict[str, str],
    folder: Path,
    look: Look,
) -> None:
    service = await start_service(settings=settings)
    sender = service.sender()
    async with _working(postgres.url, folder, settings), posting(sender, endless("m")):
        await postgres.stop()
        await asyncio.sleep(20)
        await postgres.start()
    assert sender.statuses == {200}
    async with _working(postgres.url, folder, settings):
        await _is_drained(service)
    await _assert_all_is_stored(sender, look)
    assert await look.number("SELECT buffered_batches FROM bi_v1.freshness") == 0
