"""`migrate` changes nothing that belongs to other programs in the same database."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from app.db.bi.access import make_roles
from app.db.database import migrate_database
from tests.conftest import database_url
from tests.database import connect

#: All rights and roles that a migration could change, but for what is in its own two schemas.
RIGHTS = {
    "databases": "SELECT datname, datdba::regrole, datacl::text FROM pg_database",
    "schemas": """
        SELECT nspname, nspowner::regrole, nspacl::text FROM pg_namespace
        WHERE nspname NOT IN ('receiver', 'bi_v1')
    """,
    "functions": """
        SELECT p.oid::regprocedure, proowner::regrole, proacl::text FROM pg_proc AS p
        JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname NOT IN ('receiver', 'bi_v1')
    """,
    "relations": """
        SELECT c.oid::regclass, relkind, relowner::regrole, relacl::text FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname NOT IN ('receiver', 'bi_v1', 'pg_toast')
    """,
    "types": """
        SELECT t.oid::regtype, typowner::regrole, typacl::text FROM pg_type AS t
        JOIN pg_namespace AS n ON n.oid = typnamespace WHERE nspname NOT IN ('receiver', 'bi_v1')
    """,
    "languages": "SELECT lanname, lanacl::text FROM pg_language",
    "tablespaces": "SELECT spcname, spcacl::text FROM pg_tablespace",
    "default rights": """
        SELECT defaclrole::regrole, defaclnamespace, defaclobjtype, defaclacl::text
        FROM pg_default_acl
    """,
    "roles": "SELECT rolname, rolsuper, rolcreaterole, rolcanlogin, rolconfig FROM pg_roles",
    "members": "SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members",
    "settings": "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting",
    "extensions": "SELECT extname, extversion FROM pg_extension",
}
THEIRS = """
CREATE ROLE {role} LOGIN PASSWORD 'plain';
CREATE SCHEMA theirs AUTHORIZATION {role};
CREATE TABLE theirs.orders (number int);
CREATE TABLE public.events (number int);
CREATE FUNCTION public.append_events() RETURNS int LANGUAGE sql RETURN 1;
GRANT USAGE ON SCHEMA theirs TO PUBLIC;
GRANT CREATE ON SCHEMA public TO {role};
GRANT SELECT ON public.events TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA theirs GRANT SELECT ON TABLES TO {role};
GRANT TEMPORARY ON DATABASE {database} TO {role}
"""


@pytest.fixture
async def shared(server_url: str) -> AsyncIterator[str]:
    """The URL of a database in which another program has tables, functions and rights."""
    database, role = f"shared_{uuid4().hex}", f"theirs_{uuid4().hex}"
    server = await connect(server_url)
    await server.execute(f"CREATE DATABASE {database}")
    url = database_url(server_url, database)
    theirs = await connect(url)
    await theirs.execute(THEIRS.format(database=database, role=role))
    await theirs.close()
    yield url
    await server.execute(f"DROP DATABASE {database} WITH (FORCE)")
    await server.execute(f"DROP ROLE {role}")
    await server.close()


def _changed(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is in one of both only."""
    return {name: rows ^ after[name] for name, rows in before.items() if rows != after[name]}


async def _rights(connection: asyncpg.Connection) -> dict[str, set[str]]:
    """Each row as a text, by what it is about."""
    return {
        name: {row[0] for row in await connection.fetch(f"SELECT t::text FROM ({query}) AS t")}  # noqa: S608
        for name, query in RIGHTS.items()
    }


@pytest.mark.parametrize("with_roles", [False, True])
async def test_migrating_changes_no_right_of_others_in_a_shared_database(
    shared: str, connection: asyncpg.Connection, *, with_roles: bool
) -> None:
    if with_roles:  # as another database of the cluster has made them for its analysts
        assert await make_roles(connection) == []
    named_in_full = {"search_path": "pg_catalog"}
    looking = await asyncpg.connect(shared, server_settings=named_in_full)
    before = await _rights(looking)
    await migrate_database(shared)
    assert _changed(before, await _rights(looking)) == {}
    await migrate_database(shared)
    assert _changed(before, await _rights(looking)) == {}
    assert await looking.fetchval("SELECT count(*) FROM public.events") == 0
    assert await looking.fetchval("SELECT public.append_events()") == 1
    await looking.close()
