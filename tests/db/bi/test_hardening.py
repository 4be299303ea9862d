from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from app.db.bi.address import address
from app.db.bi.hardening import find_changes, find_hardening, harden, script
from app.db.bi.login import quoted
from app.db.database import Database
from app.errors import DatabaseUnavailable
from tests.conftest import database_url
from tests.db.bi.stage import analyst, connected

#: What PUBLIC, and nothing else, lets a role do here.
PUBLIC = """
SELECT
    has_database_privilege($1, current_database(), 'CONNECT'),
    has_database_privilege($1, current_database(), 'TEMPORARY'),
    has_function_privilege($1, 'lo_create(oid)', 'EXECUTE'),
    has_function_privilege($1, 'pg_logical_emit_message(boolean,text,text,boolean)', 'EXECUTE'),
    has_function_privilege($1, 'pg_advisory_lock(bigint)', 'EXECUTE'),
    has_function_privilege($1, 'pg_try_advisory_xact_lock_shared(int,int)', 'EXECUTE')
"""
ALL, NONE = (True,) * 6, (False,) * 6


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=1)
    yield database
    await database.close()


@pytest.fixture
async def roles(connection: asyncpg.Connection) -> AsyncIterator[dict[str, str]]:
    """Roles of other programs, by what they have to do with the database."""
    suffix = uuid4().hex
    roles = {name: f"{name}_{suffix}" for name in ("owner", "backup", "foreign", "granted")}
    for role in roles.values():
        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'plain'")
    await connection.execute(f"CREATE SCHEMA theirs AUTHORIZATION {roles['owner']}")
    await connection.execute(f"GRANT pg_read_all_data TO {roles['backup']}")
    await connection.execute("CREATE SEQUENCE counter")
    await connection.execute(f"GRANT USAGE ON SEQUENCE counter TO {roles['granted']}")
    yield roles
    for role in roles.values():
        await connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_roles_that_use_the_database_keep_each_right_and_others_lose_it(
    database: Database, connection: asyncpg.Connection, roles: dict[str, str], url: str
) -> None:
    await harden(database, await find_hardening(database))
    may = {name: tuple(*await connection.fetch(PUBLIC, role)) for name, role in roles.items()}
    assert may == {"owner": ALL, "backup": ALL, "foreign": NONE, "granted": ALL}
    name = urlsplit(url).path[1:]
    own_url = address(url, user=roles["granted"], password="plain", database=name)
    async with connected(own_url) as session:
        await session.execute("SELECT pg_advisory_lock(1)")


async def test_an_analyst_goes_on_connecting_and_has_no_right_of_every_role_besides(
    database: Database, url: str
) -> None:
    async with analyst(url) as own_url:
        async with connected(own_url) as session:
            login = await session.fetchval("SELECT current_user::text")
            assert tuple(*await session.fetch(PUBLIC, login)) == ALL
            # A session that goes on is no reason to keep them.
            await harden(database, await find_hardening(database))
        async with connected(own_url) as session:
            assert await session.fetchval("SELECT count(*) FROM bi_v1.messages") == 0
            assert tuple(*await session.fetch(PUBLIC, login)) == (True, *NONE[1:])


async def test_a_hardened_database_has_nothing_to_change(
    database: Database, connection: asyncpg.Connection, roles: dict[str, str]
) -> None:
    changes = await find_hardening(database)
    assert len(changes) == 3
    await harden(database, changes)
    assert await find_hardening(database) == []
    await connection.execute("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC")
    [again] = await find_hardening(database)
    assert again.statements[-1] == (
        "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC"
    )
    await connection.execute(f"GRANT CONNECT ON DATABASE {await _name(connection)} TO PUBLIC")
    first, *_ = await find_hardening(database)
    assert "TEMPORARY" not in " ".join(first.statements)
    assert roles["granted"] in first.statements[0]


async def test_the_script_for_psql_is_what_hardens(
    database: Database, connection: asyncpg.Connection
) -> None:
    lines = list(script(await find_hardening(database)))
    assert sum(line.startswith("-- ") for line in lines) == 3
    await connection.execute("\n".join(lines))
    assert await find_hardening(database) == []


async def test_all_of_it_is_changed_or_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    first, *others = await find_hardening(database)
    broken = others[0]._replace(statements=("REVOKE EXECUTE ON FUNCTION missing() FROM PUBLIC",))
    with pytest.raises(DatabaseUnavailable):
        await harden(database, [first, broken])
    assert await find_changes(connection) == [first, *others]


@pytest.fixture
async def owner(server_url: str) -> AsyncIterator[str]:
    """The URL of a database with the rights of its owner, who is no superuser."""
    name = f'owner "{uuid4().hex}"'
    async with connected(server_url) as server:
        await server.execute(f"CREATE ROLE {quoted(name)} LOGIN PASSWORD 'plain'")
        await server.execute(f"CREATE DATABASE {quoted(name)} OWNER {quoted(name)}")
        yield address(server_url, user=name, password="plain", database=name)
        await server.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")
        await server.execute(f"DROP ROLE {quoted(name)}")


async def test_the_owner_of_a_database_changes_its_own_rights_and_not_those_of_functions(
    owner: str, server_url: str
) -> None:
    database = Database(owner, name="tests", pool_items=1)
    changes = await find_hardening(database)
    assert [change.may_run for change in changes] == [True, False, False]
    await harden(database, changes)
    left = await find_hardening(database)
    assert left == changes[1:]
    # What is left can be run by a superuser as it is printed, and takes nothing from the owner.
    name = urlsplit(owner).path[1:]
    async with connected(database_url(server_url, name)) as administrator:
        await administrator.execute("\n".join(script(left)))
    assert await find_hardening(database) == []
    async with connected(owner) as session:
        assert tuple(*await session.fetch(PUBLIC, session_user := await _user(session))) == ALL
        assert session_user.startswith("owner ")
    await database.close()


async def _user(connection: asyncpg.Connection) -> str:
    return str(await connection.fetchval("SELECT current_user::text"))


async def _name(connection: asyncpg.Connection) -> str:
    return quoted(await connection.fetchval("SELECT current_database()::text"))
