"""The database is restored, or loses its tail, behind a service whose connections are cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.db.database import Database
from app.db.erasure.recipients import add_erased
from app.db.ingest import IngestSession
from app.domain.erasure import ErasureKeys, digits_of
from app.domain.retention import retention_of_days
from app.errors import Overloaded
from app.observability.metrics import Metrics
from app.services.callbacks.intake import Intake, Receipt
from app.services.callbacks.screening import Screen
from app.services.callbacks.storing import Store
from app.services.erasure.erased_recipients import ErasedRecipients
from tests.conftest import _TEMPLATE, database_url
from tests.database import connect
from tests.promises.load import Callback, callback, reply
from tests.services.callbacks.intakes import intake_on

KEYS = ErasureKeys(["a-key-of-the-tests-for-erasure-0123456789"])
NUMBER = "+306912345678"
_PATH = "/callbacks/***/status"
_KEEP_ALL = retention_of_days(raw=None, events=None, messages=None, inbound=None)

Restore = Callable[[str], Awaitable[None]]


async def _cut(url: str) -> None:
    connection = await connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def _tail_lost(url: str) -> None:
    """As a promoted standby that lacks all that a test has stored."""
    connection = await connect(url)
    await connection.execute(
        "TRUNCATE campaigns, campaign_counts, campaign_count_deltas, messages, events,"
        " inbound_messages, quarantine, erased_recipients"
    )
    await connection.execute("UPDATE erasure_state SET version = 0")
    await connection.close()
    await _cut(url)


async def _replaced(url: str) -> None:
    """Another database of the same name, restored from an old dump."""
    name = url.rpartition("/")[2].partition("?")[0]
    connection = await connect(database_url(url, "postgres"))
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    await connection.close()


restored = pytest.mark.parametrize("restore", [_tail_lost, _replaced])


@pytest.fixture
def erased() -> ErasedRecipients:
    return ErasedRecipients(KEYS)


@pytest.fixture
async def intake(url: str, erased: ErasedRecipients) -> AsyncIterator[Intake]:
    session = IngestSession(url, statement_timeout_seconds=30)
    screen = Screen(erased, _KEEP_ALL)
    intake = intake_on(session, Metrics(), ack_budget_seconds=30, screen=screen)
    yield intake
    await intake.close()


async def _received(intake: Intake, item: Callback, token: UUID | None = None) -> Receipt:
    """What becomes of *item*, repeated as the provider does."""
    for _ in range(5):
        try:
            return await intake.receive(item.body, path=_PATH, campaign_id=token)
        except Overloaded:
            await asyncio.sleep(0.05)
    raise AssertionError("it is refused again and again")


async def _launched(url: str, campaign_id: UUID) -> None:
    """The row of a launch that Routee has not answered, as it is in the dump too."""
    connection = await connect(url)
    await connection.execute(
        "INSERT INTO campaigns (id, name, submission) VALUES ($1, 'spring', 'unconfirmed')",
        campaign_id,
    )
    await connection.close()


async def _campaigns(url: str) -> list[tuple[str | None, str]]:
    connection = await connect(url)
    rows = await connection.fetch("SELECT tracking_id, submission FROM campaigns ORDER BY 1")
    await connection.close()
    return [tuple(row) for row in rows]


@restored
async def test_campaigns_that_callbacks_name_are_made_again(
    url: str, intake: Intake, restore: Restore
) -> None:
    await _received(intake, callback("m1", campaign="console"))
    await restore(url)
    assert await _received(intake, callback("m2", campaign="console")) == Receipt.STORED
    assert await _received(intake, callback("m3", campaign="new")) == Receipt.STORED
    assert await _campaigns(url) == [("console", "observed"), ("new", "observed")]


@restored
async def test_a_campaign_learns_its_trackingid_from_its_callbacks_again(
    url: str, intake: Intake, restore: Restore
) -> None:
    campaign = uuid4()
    await _launched(url, campaign)
    await _received(intake, callback("m1", campaign="c1"), campaign)
    assert await _campaigns(url) == [("c1", "launched")]
    await restore(url)
    await _launched(url, campaign)
    await _received(intake, callback("m2", campaign=None), campaign)
    await _received(intake, callback("m3", campaign="c1"), campaign)
    await _received(intake, reply("m3", "hello"), campaign)
    assert await _campaigns(url) == [("c1", "launched")]
    connection = await connect(url)
    bound = await connection.fetch("SELECT DISTINCT campaign_tracking_id FROM messages")
    assert [row[0] for row in bound] == ["c1"]
    await connection.close()


@restored
@pytest.mark.parametrize("before", [["+306900000001"], ["+306900000001", "+306900000002"]])
async def test_who_was_erased_since_is_recognised_although_versions_began_anew(
    url: str, intake: Intake, erased: ErasedRecipients, restore: Restore, before: list[str]
) -> None:
    database = Database(url, name="tests", pool_items=1)
    for number in before:
        await add_erased(database, KEYS.hashes_of(digits_of(number))[0])
    await _received(intake, callback("m1"))
    version = erased.version
    await restore(url)
    await add_erased(database, KEYS.hashes_of(digits_of(NUMBER))[0])
    await database.close()
    await _received(intake, callback("m2"))
    assert erased.mark_of(NUMBER) is not None
    assert erased.version is not None
    assert version is not None
    assert erased.version <= version
    connection = await connect(url)
    assert await connection.fetchval("SELECT recipient LIKE '+%' FROM messages") is False
    await connection.close()


async def test_a_flush_that_still_runs_on_an_old_connection_teaches_the_new_one_nothing(
    url: str,
) -> None:
    session = IngestSession(url, statement_timeout_seconds=30)
    store = Store(session, Metrics())
    async with session.connected() as old, session.connected() as new:
        before = store._known_by(old)
        after = store._known_by(new)
        before.observed.put("c1", value=True)
        assert after.observed.find("c1") is None
    await session.close()


async def test_what_is_known_is_kept_from_flush_to_flush(
    url: str, intake: Intake, connection: asyncpg.Connection
) -> None:
    await _received(intake, callback("m1", campaign="console"))
    await connection.execute("DELETE FROM campaigns")
    await _received(intake, callback("m2", campaign="console"))
    assert await _campaigns(url) == []
    intake.forget()
    await _received(intake, callback("m3", campaign="console"))
    assert await _campaigns(url) == [("console", "observed")]
