import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import select

from app.db.api_keys import add_api_key, all_api_keys, revoke_api_key
from app.db.database import Database
from app.db.tables import ApiKeyRow
from app.domain.api_key import Scope, digest, make_key
from app.errors import DatabaseUnavailable, Overloaded, Unauthorized
from app.services.keyring import CACHED_SECONDS, Keyring


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(database: Database, clock: Clock) -> Keyring:
    return Keyring(database, clock=clock)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=1)
    yield database
    await database.close()


async def _key(
    database: Database, key: str | None = None, *, expires_at: datetime | None = None
) -> str:
    key = key or make_key()
    await add_api_key(
        database,
        name="tests",
        sha256=digest(key),
        scopes=frozenset({Scope.READ}),
        expires_at=expires_at,
    )
    return key


async def _tried(keyring: Keyring, times: int) -> list[type[Exception]]:
    """What trying so many unknown keys raised."""
    raised: list[type[Exception]] = []
    for _ in range(times):
        try:
            await keyring.verified(make_key())
        except (Unauthorized, Overloaded) as error:
            raised.append(type(error))
    return raised


async def test_a_good_key_is_recognised(keyring: Keyring, database: Database) -> None:
    found = await keyring.verified(await _key(database))
    assert (found.name, found.scopes) == ("tests", frozenset({Scope.READ}))


async def test_a_key_with_a_scope_of_a_later_version_keeps_those_that_are_known(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    later, other = await _key(database), await _key(database)
    await connection.execute(
        "UPDATE receiver.api_keys SET scopes = '{read, future, admin}' WHERE sha256 = $1",
        digest(later),
    )
    assert (await keyring.verified(later)).scopes == {Scope.READ, Scope.ADMIN}
    assert (await keyring.verified(other)).scopes == {Scope.READ}


async def test_a_key_with_no_scope_that_is_known_allows_nothing(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    key = await _key(database)
    await connection.execute("UPDATE receiver.api_keys SET scopes = '{future}'")
    found = await keyring.verified(key)
    assert not any(map(found.allows, Scope))


async def test_a_key_is_cached_for_seconds_and_then_looked_up_again(
    keyring: Keyring, database: Database, clock: Clock
) -> None:
    key = await _key(database)
    found = await keyring.verified(key)
    await revoke_api_key(database, found.id)
    clock.now += CACHED_SECONDS - 0.1
    assert await keyring.verified(key) == found
    clock.now += 0.2
    with pytest.raises(Unauthorized):
        await keyring.verified(key)


async def test_a_key_that_is_made_after_it_was_tried_is_recognised_soon(
    keyring: Keyring, database: Database, clock: Clock
) -> None:
    key = make_key()
    with pytest.raises(Unauthorized):
        await keyring.verified(key)
    await _key(database, key)
    clock.now += CACHED_SECONDS + 0.1
    assert (await keyring.verified(key)).name == "tests"


async def test_an_expired_key_is_refused_although_it_is_cached(
    keyring: Keyring, database: Database
) -> None:
    key = await _key(database, expires_at=datetime.now(UTC) + timedelta(milliseconds=300))
    await keyring.verified(key)
    await asyncio.sleep(0.31)
    with pytest.raises(Unauthorized):
        await keyring.verified(key)


async def test_guessing_is_slowed_down(keyring: Keyring, clock: Clock) -> None:
    raised = await _tried(keyring, 60)
    assert raised == [Unauthorized] * 50 + [Overloaded] * 10
    clock.now += 1
    assert await _tried(keyring, 50) == [Unauthorized] * 50


async def test_an_unknown_key_that_is_tried_again_costs_no_second_query(keyring: Keyring) -> None:
    key = make_key()
    for _ in range(200):
        with pytest.raises(Unauthorized):
            await keyring.verified(key)


async def test_guessing_does_not_lock_out_the_keys_in_use(
    keyring: Keyring, database: Database, clock: Clock
) -> None:
    key = await _key(database)
    await keyring.verified(key)
    for _ in range(3):
        clock.now += CACHED_SECONDS + 0.1
        assert Overloaded in await _tried(keyring, 60)
        assert (await keyring.verified(key)).name == "tests"


@pytest.fixture
async def guessing(database: Database) -> AsyncIterator[Keyring]:
    """A keyring on which many guess unknown keys as fast as they are refused."""
    keyring = Keyring(database)
    overloaded = asyncio.Event()

    async def _guess() -> None:
        while True:
            try:
                await keyring.verified(make_key())
            except Overloaded:
                overloaded.set()
            except Unauthorized:
                pass
            await asyncio.sleep(0)

    guesses = [asyncio.create_task(_guess()) for _ in range(300)]
    await asyncio.wait_for(overloaded.wait(), 30)
    yield keyring
    for guess in guesses:
        guess.cancel()
    await asyncio.gather(*guesses, return_exceptions=True)


async def test_a_key_that_was_just_made_is_good_at_once_whoever_guesses(
    guessing: Keyring, database: Database
) -> None:
    for _ in range(5):
        key = await _key(database)
        assert (await guessing.verified(key)).name == "tests"


async def test_guessing_refuses_no_key_in_use_and_pushes_none_out_of_memory(
    guessing: Keyring, database: Database
) -> None:
    keys = [await _key(database) for _ in range(30)]
    for _ in range(3):
        found = await asyncio.gather(*(guessing.verified(key) for key in keys))
        assert {one.name for one in found} == {"tests"}
        await asyncio.sleep(0.2)


@pytest.mark.usefixtures("guessing")
async def test_guessing_costs_few_reads_however_many_guess(
    connection: asyncpg.Connection,
) -> None:
    read = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = $1"
    await asyncio.sleep(1.2)
    before = await connection.fetchval(read, "api_keys")
    await asyncio.sleep(2)
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    assert await connection.fetchval(read, "api_keys") - before < 200


async def test_a_key_that_was_tried_before_it_was_made_is_found_by_the_next_read(
    keyring: Keyring, database: Database
) -> None:
    key = make_key()
    with pytest.raises(Unauthorized):
        await keyring.verified(key)
    await _key(database, key)
    await _tried(keyring, 1)
    assert (await keyring.verified(key)).name == "tests"


async def test_keys_of_another_database_are_forgotten(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    key = await _key(database)
    await keyring.verified(key)
    await connection.execute("DELETE FROM api_keys")
    keyring.forget()
    with pytest.raises(Unauthorized):
        await keyring.verified(key)


async def test_a_read_that_fails_or_is_left_by_all_its_callers_is_followed_by_another(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    key = await _key(database)
    await connection.execute("ALTER TABLE api_keys RENAME TO api_keys_away")
    leaving = asyncio.create_task(keyring.verified(key))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(DatabaseUnavailable):
        await keyring.verified(key)
    await connection.execute("ALTER TABLE api_keys_away RENAME TO api_keys")
    assert (await keyring.verified(key)).name == "tests"


async def test_many_requests_at_once_with_one_key_are_no_guessing(
    keyring: Keyring, database: Database
) -> None:
    key = await _key(database)
    found = await asyncio.gather(*(keyring.verified(key) for _ in range(200)))
    assert {one.name for one in found} == {"tests"}


async def test_a_caller_that_leaves_does_not_take_the_answer_from_the_others(
    keyring: Keyring, database: Database
) -> None:
    key = await _key(database)
    leaving, staying = (asyncio.create_task(keyring.verified(key)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).name == "tests"


async def test_a_failed_lookup_is_not_cached(clock: Clock) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:9/nothing", name="tests", pool_items=1)
    keyring = Keyring(nowhere, clock=clock)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await keyring.verified(make_key())
    await nowhere.close()


async def _last_used_at(database: Database, key: str) -> datetime | None:
    async with database.reading() as session:
        query = select(ApiKeyRow.last_used_at).where(ApiKeyRow.sha256 == digest(key))
        last_used_at: datetime | None = (await session.execute(query)).scalar_one()
    return last_used_at


async def test_it_is_recorded_when_a_key_was_last_used(
    keyring: Keyring, database: Database
) -> None:
    used, unused = await _key(database), await _key(database)
    before = datetime.now(UTC)
    await keyring.verified(used)
    assert await _last_used_at(database, used) is None
    await keyring.record_uses()
    recorded = await _last_used_at(database, used)
    assert recorded is not None
    assert before <= recorded <= datetime.now(UTC)
    assert await _last_used_at(database, unused) is None


async def test_a_use_is_recorded_once_a_minute_by_all_processes_together(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    key = await _key(database)
    await keyring.verified(key)
    await keyring.record_uses()
    first = await _last_used_at(database, key)
    for ring in (keyring, Keyring(database)):
        await ring.verified(key)
        await ring.record_uses()
    assert await _last_used_at(database, key) == first
    await connection.execute("UPDATE api_keys SET last_used_at = now() - interval '61 seconds'")
    await keyring.verified(key)
    await keyring.record_uses()
    assert await _last_used_at(database, key) > first  # type: ignore[operator]


async def test_what_was_not_used_since_is_not_written_again(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    await keyring.verified(await _key(database))
    await keyring.record_uses()
    await connection.execute("UPDATE api_keys SET last_used_at = NULL")
    await keyring.record_uses()
    assert [key.last_used_at for key in await all_api_keys(database)] == [None]


async def test_a_refused_key_was_not_used(keyring: Keyring, database: Database) -> None:
    key = await _key(database, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Unauthorized):
        await keyring.verified(key)
    await keyring.record_uses()
    assert await _last_used_at(database, key) is None


async def test_a_key_that_another_process_writes_to_is_not_waited_for(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    key = await _key(database)
    await keyring.verified(key)
    async with connection.transaction():
        await connection.execute("UPDATE api_keys SET last_used_at = now()")
        await asyncio.wait_for(keyring.record_uses(), timeout=2)


async def test_uses_are_not_forgotten_while_the_database_is_away(
    keyring: Keyring, database: Database, connection: asyncpg.Connection
) -> None:
    key = await _key(database)
    await keyring.verified(key)
    await connection.execute("ALTER TABLE api_keys RENAME TO api_keys_away")
    with pytest.raises(DatabaseUnavailable):
        await keyring.record_uses()
    await connection.execute("ALTER TABLE api_keys_away RENAME TO api_keys")
    await keyring.record_uses()
    assert await _last_used_at(database, key) is not None
