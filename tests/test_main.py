import asyncpg

from app.db.database import Database
from app.main import _unless_newer


async def test_what_a_newer_schema_may_have_more_of_is_left_to_the_newer_program(
    url: str, connection: asyncpg.Connection
) -> None:
    database = Database(url, pool_items=1)
    done: list[str] = []

    async def _erase() -> None:
        done.append("erased")

    duty = _unless_newer(database, _erase)
    await duty()
    await connection.execute("UPDATE alembic_version SET version_num = '9998'")
    await duty()
    assert done == ["erased"]
    await database.close()
