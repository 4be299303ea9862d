"""A primary with two standbys, of which a commit waits for one: losing a machine loses nothing."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db.database import Database
from app.db.ingest import IngestSession, stored_identities
from app.db.launching.binding import observe
from app.domain.api_key import Scope
from app.errors import DatabaseUnavailable
from app.sandbox.replicas import ReplicaSet
from tests.promises.conftest import Look
from tests.promises.load import (
    Callback,
    assert_each_is_stored_or_to_be_repeated_in_time,
    callback,
    endless,
    reply,
    report,
)
from tests.promises.stage import (
    FLOWING_ITEMS,
    Service,
    answers,
    eventually,
    made_key,
    posting,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_CANCEL = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_TERMINATE = _CANCEL.replace("cancel", "terminate")
#: What each kind of callback is stored in.
_TABLES = ("events", "inbound_messages", "campaign_progress", "quarantine")
_READY_AGAIN_SECONDS = 10.0


def _one_of_each(name: str) -> dict[str, tuple[str, Callback]]:
    """A callback of each kind, with the path that it is posted to."""
    return {
        "event": ("status", callback(name)),
        "reply": ("inbound", reply(name, "hello")),
        "report": ("status", report("campaign", name=name)),
        "unreadable": ("status", Callback((name, ""), f"not JSON {name}".encode())),
    }


@pytest.fixture
async def replicas(folder: Path, template_dir: Path) -> AsyncIterator[ReplicaSet]:
    replicas = ReplicaSet(folder / "replicas")
    first = replicas.servers[0].data_dir
    first.parent.mkdir()
    subprocess.run(["cp", "-a", template_dir, first], check=True)  # noqa: ASYNC221, S603, S607
    async with replicas:
        yield replicas


@pytest.fixture
async def service(replicas: ReplicaSet, folder: Path) -> AsyncIterator[Service]:
    service = Service(replicas.url, folder)
    await service.start()
    yield service
    service.kill()


@pytest.fixture
async def look(replicas: ReplicaSet) -> AsyncIterator[Look]:
    look = Look(replicas)
    yield look
    await look.close()


async def _posted(service: Service, kind: str, one: Callback) -> int:
    sender = service.sender(connections=1, kind=kind)
    await sender.send_all([one])
    assert_each_is_stored_or_to_be_repeated_in_time(
        answer._replace(body=b"") for answer in sender.answers
    )
    return sender.answers[0].status


def _away(replicas: ReplicaSet) -> None:
    for standby in replicas.standbys:
        standby.freeze()


async def _back(replicas: ReplicaSet) -> None:
    for standby in replicas.standbys:
        standby.thaw()
    await replicas.all_stream()


async def _stored(look: Look) -> list[int]:
    return [await look.number(f"SELECT count(*) FROM {table}") for table in _TABLES]  # noqa: S608


async def _eventually_posted(service: Service, kind: str, one: Callback) -> None:
    async def _is_acknowledged() -> bool:
        return await _posted(service, kind, one) == 200

    await eventually(_is_acknowledged)


async def test_nothing_is_acknowledged_while_the_standbys_are_away(
    replicas: ReplicaSet, service: Service, look: Look
) -> None:
    known = _one_of_each("known")
    for kind, one in known.values():
        assert await _posted(service, kind, one) == 200
    _away(replicas)
    for kind, one in (*known.values(), *_one_of_each("new").values()):
        assert await _posted(service, kind, one) == 503
    # What is not with a standby is not shown either, and the sessions that wait for one are few.
    assert await _stored(look) == [1, 1, 1, 1]
    for at in range(8):
        assert await _posted(service, "status", callback(f"more-{at}")) == 503
    waiting = await look.number(f"{_WAITING} AND application_name = 'routee-receiver ingest'")
    assert waiting <= 8
    began = time.monotonic()
    assert await _posted(service, "status", callback("refused at once")) == 503
    assert time.monotonic() - began < 1

    await _back(replicas)
    for kind, one in (*known.values(), *_one_of_each("new").values()):
        await _eventually_posted(service, kind, one)
    events, *others = await _stored(look)
    assert events >= 2
    assert others == [2, 2, 2]
    assert await look.counts() == await look.recount() == await look.recount_of_events()


async def _cancelled(_: ReplicaSet, look: Look) -> None:
    """The waits are cancelled, as a person might do."""
    await look.execute(_CANCEL)


async def _terminated(_: ReplicaSet, look: Look) -> None:
    """The sessions that wait are terminated."""
    await look.execute(_TERMINATE)


async def _restarted(replicas: ReplicaSet, _: Look) -> None:
    """The primary is killed, and recovers what no standby has."""
    await replicas.primary.kill()
    await replicas.primary.start()


@pytest.mark.parametrize("ended", [_cancelled, _terminated, _restarted])
async def test_what_only_the_primary_has_is_not_acknowledged_when_it_is_repeated(
    ended: Callable[[ReplicaSet, Look], Awaitable[None]],
    replicas: ReplicaSet,
    service: Service,
    look: Look,
) -> None:
    # So that the campaign is known, and each callback below takes one commit.
    assert await _posted(service, "status", callback("earlier")) == 200
    _away(replicas)
    ones = _one_of_each("new")
    for kind, one in ones.values():
        posted = asyncio.create_task(_posted(service, kind, one))
        await _ingest_waits(look)
        await ended(replicas, look)
        assert await posted == 503
    assert await _stored(look) == [2, 1, 1, 1]  # here, and on no standby
    for _ in range(2):
        for kind, one in ones.values():
            assert await _posted(service, kind, one) == 503
    await _back(replicas)
    for kind, one in ones.values():
        await _eventually_posted(service, kind, one)
    assert await _stored(look) == [2, 1, 1, 1]
    assert await look.counts() == await look.recount() == await look.recount_of_events()


async def _ingest_waits(look: Look) -> None:
    async def _does() -> bool:
        query = f"{_WAITING} AND application_name = 'routee-receiver ingest'"
        return await look.number(query) > 0

    await eventually(_does)


async def test_a_reply_that_is_found_by_a_read_waits_for_a_standby_too(
    replicas: ReplicaSet, service: Service, look: Look
) -> None:
    _away(replicas)
    posted = asyncio.create_task(_posted(service, "inbound", reply("m", "hello")))
    await _ingest_waits(look)
    await look.execute(_CANCEL)
    assert await posted == 503
    identity = await (await look.connection()).fetchval("SELECT identity FROM inbound_messages")

    session = IngestSession(replicas.url, statement_timeout_seconds=5)
    async with session.connected() as connection:
        found = asyncio.create_task(stored_identities(connection, [identity]))
        await _ingest_waits(look)
        assert not found.done()
        # A read that finds nothing does not wait.
        async with session.connected() as other:
            assert await stored_identities(other, [b"unknown"]) == frozenset()
        await _back(replicas)
        assert await found == {identity}
    await session.close()


async def test_a_transaction_whose_wait_is_cancelled_has_failed_for_its_caller(
    replicas: ReplicaSet, look: Look
) -> None:
    database = Database(replicas.url, name="tests", pool_items=1)
    _away(replicas)

    async def _written() -> None:
        async with database.writing() as session:
            raw = await (await session.connection()).get_raw_connection()
            driven: Any = raw.driver_connection
            await observe(driven, ["campaign"])

    writing = asyncio.create_task(_written())

    async def _waits() -> bool:
        return await look.number(_WAITING) > 0

    await eventually(_waits)
    await look.execute(_CANCEL)
    with pytest.raises(DatabaseUnavailable):
        await writing
    await _back(replicas)
    async with database.writing():
        pass
    await database.close()


class _Reader:
    """Reads the feed as a backend does, whatever happens to the database."""

    def __init__(self, service: Service, key: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=service.url, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        self._cursor = "beginning"
        self.read: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            if not await self.read_page():
                await asyncio.sleep(0.1)

    async def read_page(self) -> bool:
        """Whether there was anything to read."""
        answer = await self._client.get(
            "/v1/events", params={"after": self._cursor, "limit": 1000, "type": "message.status"}
        )
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            return False
        page = answer.json()
        self._cursor = page["nextCursor"]
        self.read += [(item["trackingId"], item["data"]["status"]) for item in page["items"]]
        return bool(page["items"])

    async def close(self) -> None:
        await self._client.aclose()


async def test_a_promotion_in_mid_load_loses_nothing_that_was_acknowledged(
    replicas: ReplicaSet, service: Service, look: Look
) -> None:
    reader = _Reader(service, await made_key(replicas.url, Scope.READ))
    reading = asyncio.create_task(reader.run())
    sender = service.sender()
    for _ in range(2):
        before = await look.number("SELECT epoch FROM feed_state")
        async with posting(sender, endless(f"m{before}")):
            former = replicas.primary
            await replicas.kill_primary()
            await answers(sender, 503)
            await replicas.promote()
            await answers(sender, 200, within_seconds=_READY_AGAIN_SECONDS)
            await answers(sender, 200, items=FLOWING_ITEMS)
        await look.close()
        assert await look.number("SELECT epoch FROM feed_state") == before + 1
        await replicas.rejoin(former.index)
    assert_each_is_stored_or_to_be_repeated_in_time(sender.answers)
    assert sender.acknowledged <= await look.stored()
    assert await look.counts() == await look.recount() == await look.recount_of_events()

    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()
    while await reader.read_page():
        pass
    await reader.close()
    assert len(reader.read) == len(set(reader.read)), "the feed has repeated an event"
    stored = {one.identity for one in await look.stored()}
    assert set(reader.read) == stored, "the feed has skipped an event"


async def test_reads_prefer_a_standby_and_go_on_without_one(
    replicas: ReplicaSet,
) -> None:
    reads = Database(replicas.read_url, name="reads", pool_items=1)

    async def _port() -> int:
        async with reads.driver() as connection:
            return int(await connection.fetchval("SHOW port"))

    standbys = {standby.port for standby in replicas.standbys}
    assert await _port() in standbys
    for standby in replicas.standbys:
        await standby.kill()
    assert await _port() == replicas.primary.port
    await reads.close()
