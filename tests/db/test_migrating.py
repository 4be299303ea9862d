import asyncio

from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.db.database import migrate_database
from app.db.engine import make_engine
from app.db.schema import configured
from app.sandbox.processes import eventually
from tests.database import connect


async def test_each_migration_says_what_its_way_down_loses(url: str) -> None:
    def _unsaid(connection: Connection) -> list[str]:
        scripts = ScriptDirectory.from_config(configured(connection)).walk_revisions()
        return [it.revision for it in scripts if not it.module.LOSES]

    engine = make_engine(url, name="tests", pool_items=1, statement_timeout_seconds=60)
    async with engine.connect() as connection:
        assert not await connection.run_sync(_unsaid)
    await engine.dispose()


async def test_whoever_migrates_second_says_so_and_waits(url: str) -> None:
    holder = await connect(url)
    await holder.execute("SELECT pg_advisory_lock(7021001)")
    said: list[str] = []
    task = asyncio.create_task(migrate_database(url, say=said.append))

    async def _waits() -> bool:
        return bool(said)

    await eventually(_waits)
    assert said == ["Another process migrates; waiting for it."]
    assert not task.done()
    await holder.close()
    await task


async def test_a_migration_that_waits_for_a_lock_lets_others_go_before_it(url: str) -> None:
    reader = await connect(url)
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("SELECT count(*) FROM messages")
    said: list[str] = []
    task = asyncio.create_task(migrate_database(url, to="base", is_down=True, say=said.append))

    async def _gave_way() -> bool:
        return any("trying again" in line for line in said)

    await eventually(_gave_way)
    other = await connect(url)
    assert await other.fetchval("SELECT count(*) FROM messages", timeout=60) == 0
    assert not task.done()
    await other.close()
    await transaction.rollback()
    await reader.close()
    assert await task == "base"
    assert said[-1] == "0001 has been taken back."
