"""Buffered mode: what the NATS cluster has acknowledged is stored, whatever is killed."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from app.sandbox.nats_servers import NatsCluster
from app.sandbox.processes import WorkerProcess
from tests.nats import jetstream
from tests.promises.conftest import Look, StartService
from tests.promises.load import (
    Sender,
    assert_each_is_stored_or_to_be_repeated_in_time,
    endless,
    stories,
)
from tests.promises.stage import SECRET, Postgres, Service, answers, eventually, posting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_STREAM = "receiver-callbacks"
_BUFFERED = b'{"result":"buffered"}'
_PROGRAM = str(Path(sys.executable).parent / "routee-receiver")
#: A batch whose worker was killed is delivered again after a third of this.
_DRAINED_SECONDS = 300.0


def _receiver_settings(database_url: str, settings: Mapping[str, str]) -> dict[str, str]:
    return {
        "RECEIVER_DATABASE_URL": database_url,
        "RECEIVER_CALLBACK_SECRETS": SECRET,
        "RECEIVER_LOG_FORMAT": "json",
        **settings,
    }


def run_command(
    command: list[str], database_url: str, settings: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """`routee-receiver` with *command*, to its end."""
    return subprocess.run(  # noqa: S603 (our own program)
        [_PROGRAM, *command],
        env={name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
        | _receiver_settings(database_url, settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class StartWorker:
    """Starts workers; none outlives the test."""

    def __init__(self, postgres: Postgres, folder: Path, settings: dict[str, str]) -> None:
        self.settings = settings
        self._postgres = postgres
        self._folder = folder
        self._workers: list[WorkerProcess] = []

    def __call__(self) -> WorkerProcess:
        worker = WorkerProcess(
            _receiver_settings(self._postgres.url, self.settings),
            self._folder / f"work-{len(self._workers)}.log",
        )
        self._workers.append(worker)
        worker.launch()
        return worker

    def clear(self) -> None:
        for worker in self._workers:
            worker.kill()


async def _ended(worker: WorkerProcess) -> int:
    """SIGTERM *worker* once it works; its exit code."""
    await worker.is_well()
    code, _ = await worker.end()
    return code


@pytest.fixture
async def cluster(folder: Path) -> AsyncIterator[NatsCluster]:
    async with NatsCluster(folder / "nats") as cluster:
        yield cluster


@pytest.fixture
def start_worker(cluster: NatsCluster, postgres: Postgres, folder: Path) -> Iterator[StartWorker]:
    settings = {
        "RECEIVER_BUFFER_URL": cluster.url,
        "RECEIVER_BUFFER_MONITOR_URLS": cluster.monitor_urls,
        "RECEIVER_BUFFER_MAX_BYTES": str(256 * 1024**2),
    }
    starting = StartWorker(postgres, folder, settings)
    yield starting
    starting.clear()


async def _backlog(service: Service) -> int:
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.get(f"{service.url}/readyz")
    return int(answer.json()["buffer"]["batches"]) if answer.is_success else -1


async def _is_drained(service: Service) -> None:
    async def _is_empty() -> bool:
        return await _backlog(service) == 0

    await asyncio.sleep(2.5)  # the backlog is measured every 2 seconds
    await eventually(_is_empty, within_seconds=_DRAINED_SECONDS)


async def _assert_all_is_stored_in_the_end(
    service: Service, sender: Sender, look: Look, *, refused: bool
) -> None:
    await _is_drained(service)
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert sender.statuses == ({200, 503} if refused else {200})
    assert {answer.body for answer in sender.answers if answer.status == 200} == {_BUFFERED}
    assert sender.acknowledged <= await look.stored()
    assert await look.number("SELECT count(*) FROM quarantine") == 0
    assert await look.counts() == await look.recount() == await look.recount_of_events()


async def test_while_postgres_is_away_no_callback_is_refused_and_all_are_stored_afterwards(
    start_service: StartService, postgres: Postgres, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender(connections=4)
    start_worker()
    async with posting(sender, endless("m")):
        await postgres.stop()
        await asyncio.sleep(60)
        await postgres.start()
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=False)
    assert await look.number("SELECT buffered_batches FROM bi_v1.freshness") == 0
    assert await look.number("SELECT count(buffer_measured_at) FROM bi_v1.freshness") == 1


async def test_a_service_that_is_started_while_postgres_is_away_buffers_callbacks(
    start_service: StartService, postgres: Postgres, start_worker: StartWorker, look: Look
) -> None:
    await postgres.stop()
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    await sender.send_all(stories("m", 25))
    worker = start_worker()
    await asyncio.sleep(2)
    await postgres.start()
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=False)
    assert await _ended(worker) == 0


async def test_callbacks_are_traced_to_the_buffer_and_batches_from_there_to_their_sql(
    start_service: StartService, start_worker: StartWorker
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra `tracing` is not installed")
    from tests.observability.otlp import collecting  # noqa: PLC0415 (decodes by the extra)

    with collecting() as collector:
        start_worker.settings["RECEIVER_TRACES_URL"] = collector.url
        service = await start_service(settings=start_worker.settings)
        worker = start_worker()
        await service.sender().send_all(stories("m", 10))
        await _is_drained(service)
        await service.end()
        assert await _ended(worker) == 0
        spans = {span.span_id: span for span in collector.spans}
        within = {
            (parent.name, span.name)
            for span in spans.values()
            if (parent := spans.get(span.parent_span_id)) is not None
        }
        assert ("POST /callbacks/{token}/status", "buffer callbacks") in within
        assert ("store buffered callbacks", "SELECT") in within


async def test_a_worker_that_is_killed_before_it_acknowledges_changes_nothing(
    start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    worker = start_worker()
    async with posting(sender, endless("m")):
        for _ in range(5):
            await asyncio.sleep(1.5)  # in the middle of some batch, perhaps after its commit
            worker.kill()
            worker = start_worker()
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=False)


async def test_two_workers_store_everything_once_and_end_well(
    start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    workers = [start_worker(), start_worker()]
    callbacks = stories("m", 500, campaigns=5, recipients=50)
    random.Random(7).shuffle(callbacks)  # noqa: S311 (a test)
    await sender.send_all([*callbacks, *callbacks[::3]])
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=False)
    assert await look.number("SELECT count(*) FROM events") == len(callbacks)
    assert [await _ended(worker) for worker in workers] == [0, 0]


async def test_what_was_acknowledged_outlives_every_node_that_is_killed_under_load(
    cluster: NatsCluster, start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    await start_worker().is_well()
    async with posting(sender, endless("m")):
        for _ in range(3):
            leader = await cluster.leader_of(_STREAM)
            assert leader is not None
            cluster.kill_node(leader)
            await answers(sender, 503)
            await answers(sender, 200, items=100)
            await cluster.start()
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=True)


async def test_a_node_that_does_not_lead_is_killed_without_a_loss(
    cluster: NatsCluster, start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    await start_worker().is_well()
    async with posting(sender, endless("m")):
        leader = await cluster.leader_of(_STREAM)
        assert leader is not None
        for node in range(3):
            if node != leader:
                cluster.kill_node(node)
                await answers(sender, 200, items=500)
                await cluster.start()
    await _is_drained(service)
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert sender.acknowledged <= await look.stored()


async def test_all_nodes_killed_at_once_lose_nothing_that_was_acknowledged(
    cluster: NatsCluster, start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    async with posting(sender, endless("m")):
        for node in range(3):
            cluster.kill_node(node)
        await answers(sender, 503)
        await cluster.start()
        await answers(sender, 200, items=100, within_seconds=60)
    start_worker()
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=True)


async def test_a_change_of_the_leader_loses_nothing(
    cluster: NatsCluster, start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender = service.sender()
    await start_worker().is_well()
    async with jetstream(cluster.url) as context, posting(sender, endless("m")):
        for _ in range(5):
            await context._nc.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{_STREAM}", timeout=5)
            await answers(sender, 200, items=200)
    await _is_drained(service)
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert sender.acknowledged <= await look.stored()


async def test_when_the_stream_is_full_callbacks_are_refused_until_a_worker_has_made_room(
    start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    settings = start_worker.settings | {"RECEIVER_BUFFER_MAX_BYTES": str(1024**2)}
    service = await start_service(settings=settings)
    sender = service.sender(connections=8)  # each repeats without a pause what is refused
    async with posting(sender, endless("m")):
        await answers(sender, 503, within_seconds=60)
        start_worker()
        await answers(sender, 200, items=500, within_seconds=60)
    await _assert_all_is_stored_in_the_end(service, sender, look, refused=True)


async def test_sigterm_under_load_ends_serve_and_work_and_loses_nothing(
    start_service: StartService, start_worker: StartWorker, look: Look
) -> None:
    service = await start_service(settings=start_worker.settings)
    sender, worker = service.sender(), start_worker()
    async with posting(sender, endless("m")):
        assert await _ended(worker) == 0
        code, seconds = await service.end()
    assert code == 0, service.log.read_text()
    assert seconds < 12
    again = await start_service(settings=start_worker.settings)
    start_worker()
    await _is_drained(again)
    assert sender.acknowledged <= await look.stored()
    assert "Traceback" not in service.log.read_text() + worker.log.read_text()


async def test_sigterm_while_all_nodes_are_away_ends_serve_and_work_all_the_same(
    cluster: NatsCluster, start_service: StartService, start_worker: StartWorker
) -> None:
    service, worker = await start_service(settings=start_worker.settings), start_worker()
    await service.sender().send_all(stories("m", 5))
    await worker.is_well()
    for node in range(3):
        cluster.kill_node(node)
    await asyncio.sleep(2)
    assert await _ended(worker) == 0
    code, seconds = await service.end()
    assert code == 0, service.log.read_text()
    assert seconds < 12
    assert "Traceback" not in service.log.read_text() + worker.log.read_text()


async def test_serve_and_work_refuse_a_buffer_that_is_not_durable_or_away(
    postgres: Postgres, nats_url: str, nats_monitor_url: str
) -> None:
    wrong = {
        "RECEIVER_BUFFER_URL": nats_url,
        "RECEIVER_BUFFER_MONITOR_URLS": nats_monitor_url,
    }
    away = {"RECEIVER_BUFFER_URL": "nats://127.0.0.1:9"}
    for settings, words in ((wrong, "not durable"), (away, "does not answer")):
        for command in (["serve", "--port=0"], ["work"]):
            ended = await asyncio.to_thread(run_command, command, postgres.url, settings)
            assert ended.returncode == 1
            assert words in ended.stderr
            assert "Traceback" not in ended.stderr
