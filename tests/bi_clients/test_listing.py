"""
What programs list when they look around, by questions to the catalogue like their own.

PostgreSQL shows the names of all schemas and tables to every login. Programs that ask for what the
login may use list `bi_v1` alone; docs/analysts.md says how to have the others do so.
"""

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from tests.db.bi.stage import asking

SCHEMA: Final = "bi_v1"

#: Of schemas and what is in them: all that the program lists.
PRIVILEGED: Final = {
    "Power BI, Tableau and Npgsql: the tables of the information schema": """
        SELECT table_schema, table_name FROM information_schema.tables
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
            AND table_type IN ('BASE TABLE', 'VIEW', 'FOREIGN')
    """,
    "Npgsql: the columns of the information schema": """
        SELECT DISTINCT table_schema, table_name FROM information_schema.columns
        WHERE table_schema !~ '^(pg_|information_schema)'
    """,
    "Grafana: the tables of the schemas on the search path": """
        SELECT table_schema, table_name FROM information_schema.tables
        WHERE table_schema IN (
            SELECT trim(s) FROM unnest(string_to_array(current_setting('search_path'), ',')) AS s
        )
    """,
    "Metabase: what can be selected from": """
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm')
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND has_schema_privilege(n.oid, 'USAGE')
            AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
    """,
    "Redash: columns in usable schemas": """
        SELECT DISTINCT n.nspname, c.relname
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')
            AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND has_schema_privilege(n.nspname, 'USAGE')
            AND has_table_privilege(format('%I.%I', n.nspname, c.relname), 'SELECT')
    """,
    "JDBC's DatabaseMetaData with hideUnprivilegedObjects=true": """
        SELECT n.nspname AS "TABLE_SCHEM", c.relname AS "TABLE_NAME"
        FROM pg_catalog.pg_namespace AS n, pg_catalog.pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND has_table_privilege(
                c.oid, 'SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRIGGER'
            )
            AND has_schema_privilege(n.oid, 'USAGE')
    """,
    "psql and whatever asks for what a bare name means": """
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'pg_catalog'
            AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid)
    """,
}
#: Of schemas alone, whatever their rights.
BLIND: Final = {
    "JDBC's DatabaseMetaData, and with it DataGrip": """
        SELECT nspname AS "TABLE_SCHEM", current_database() AS "TABLE_CATALOG"
        FROM pg_catalog.pg_namespace
        WHERE nspname <> 'pg_toast' AND nspname !~ '^pg_(toast_)?temp_'
    """,
    "DBeaver": """
        SELECT n.nspname, d.description
        FROM pg_catalog.pg_namespace AS n
        LEFT JOIN pg_catalog.pg_description AS d
            ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
    """,
}


@pytest.fixture
async def session(analyst_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with asking(analyst_url) as session:
        yield session


@pytest.mark.parametrize("program", PRIVILEGED)
async def test_a_program_that_asks_for_what_it_may_read_lists_the_views_alone(
    session: asyncpg.Connection, program: str
) -> None:
    listed = await session.fetch(PRIVILEGED[program])
    assert {row[0] for row in listed} == {SCHEMA}
    assert {"campaigns", "messages", "recipients_awaited"} <= {row[1] for row in listed}


@pytest.mark.parametrize("program", BLIND)
async def test_of_the_schemas_that_other_programs_list_only_that_of_the_views_has_anything_in_it(
    session: asyncpg.Connection, program: str
) -> None:
    listed = {row[0] for row in await session.fetch(BLIND[program])}
    assert SCHEMA in listed
    usable = await session.fetch(
        """
        SELECT DISTINCT n.nspname
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY($1) AND has_schema_privilege(n.oid, 'USAGE')
            AND has_table_privilege(c.oid, 'SELECT') AND n.nspname !~ '^pg_'
            AND n.nspname <> 'information_schema'
        """,
        list(listed),
    )
    assert [row[0] for row in usable] == [SCHEMA]


def _without_a_schema(connection: Connection) -> tuple[str | None, set[str], set[str]]:
    inspector = inspect(connection)
    return (
        inspector.default_schema_name,
        set(inspector.get_view_names()),
        set(inspector.get_table_names()),
    )


async def test_superset_opens_the_views_before_a_schema_is_chosen(analyst_url: str) -> None:
    async def _connected() -> asyncpg.Connection:
        return await asyncpg.connect(analyst_url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=_connected)
    async with engine.connect() as connection:
        default, views, tables = await connection.run_sync(_without_a_schema)
    await engine.dispose()
    assert default == SCHEMA
    assert {"campaigns", "delivery_daily"} <= views
    assert tables == set()


async def test_views_are_found_without_naming_their_schema(session: asyncpg.Connection) -> None:
    assert await session.fetchval("SHOW search_path") == SCHEMA
    assert await session.fetchval("SELECT current_schema()") == SCHEMA
    assert await session.fetchval("SELECT sum(messages) FROM campaigns") == 3
