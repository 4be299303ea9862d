import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from app.db.bi.access import make_roles, renew_grants
from app.db.bi.address import address
from app.db.bi.hardening import Change, find_changes
from app.db.database import migrate_database
from app.embedded import EmbeddedPostgres
from tests.conftest import database_url, fresh_database
from tests.database import connect
from tests.db.bi.stage import analyst, asking, connected
from tests.db.feed.feed_stage import event, reply, store

NUMBER = "+306912345678"

#: Everything that can be read or called, wherever it is, but what PostgreSQL brings itself.
RELATIONS = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'bi_v1')
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't')
ORDER BY 1
"""
PRIVILEGES = """
SELECT c.oid::regclass::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'bi_v1')
    AND CASE
        WHEN c.relkind = 'S' THEN has_sequence_privilege($1, c.oid, 'USAGE,SELECT,UPDATE')
        WHEN c.relkind IN ('r', 'p', 'v', 'm', 'f', 't') THEN has_table_privilege(
            $1, c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN')
            OR has_any_column_privilege($1, c.oid, 'SELECT,INSERT,UPDATE,REFERENCES')
        ELSE false
    END
"""
FUNCTIONS = """
SELECT p.oid, p.proname AS name, format(
    'SELECT %I.%I(%s)', n.nspname, p.proname,
    (SELECT string_agg(format('NULL::%s', a::regtype), ', ') FROM unnest(p.proargtypes) AS a)
) AS call
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'bi_v1')
"""
MORE_RIGHTS = """
SELECT p.proname::text
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
VIEWS = """
SELECT relname FROM pg_class WHERE relnamespace = 'bi_v1'::regnamespace AND relkind IN ('v', 'm')
"""
#: A view that cannot be written to, a server setting, a role, an extension that is not there.
OTHER_REFUSALS = ("55000", "55P02", "0A000", "58P01")


#: In the place of bodies, tokens and hashes, in every table that has some.
SECRET = "kept-from-analysts"
HIDE = """
UPDATE events SET payload = 'kept-from-analysts';
UPDATE inbound_messages SET payload = 'kept-from-analysts';
INSERT INTO quarantine (sha256, reason, path, body)
VALUES ('kept-from-analysts', 'x', '/', 'kept-from-analysts');
INSERT INTO api_keys (name, sha256, scopes)
VALUES ('kept-from-analysts', 'kept-from-analysts', '{}');
INSERT INTO campaigns (tracking_id, submission, request, answer) VALUES (
    'c', 'launched', '{"callbackUrl": "kept-from-analysts"}', '{"to": ["kept-from-analysts"]}'
) ON CONFLICT (tracking_id) DO UPDATE SET request = excluded.request, answer = excluded.answer;
UPDATE messages SET detailed_status = 'Opted Out';
UPDATE bi_settings SET recipient_secret = 'kept-from-analysts';
"""


@pytest.fixture
async def stored(connection: asyncpg.Connection) -> asyncpg.Connection:
    """The owner's connection, with something to hide in every table that has payloads."""
    await store(connection, event("m1", "DELIVERED"), reply("m1"))
    await store(connection, event("m2", "UNDELIVERED"))
    await connection.execute(HIDE)
    return connection


@pytest.fixture
async def reader(url: str) -> AsyncIterator[asyncpg.Connection]:
    """An analyst who sees masked numbers."""
    async with analyst(url) as own_url, asking(own_url) as session:
        yield session


@pytest.fixture
async def pii_reader(url: str) -> AsyncIterator[asyncpg.Connection]:
    """An analyst who sees whole numbers."""
    async with analyst(url, pii=True) as own_url, asking(own_url) as session:
        yield session


async def _is_refused(session: asyncpg.Connection, statement: str) -> bool:
    """Whether it is for lack of rights, or because the session only reads."""
    try:
        await session.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    except asyncpg.PostgresError as error:
        return error.sqlstate in OTHER_REFUSALS
    return False


async def _everything(owner: asyncpg.Connection, session: asyncpg.Connection) -> str:
    """All that *session* sees in all views."""
    shown = []
    for (view,) in await owner.fetch(VIEWS):
        rows = await session.fetch(f"SELECT t::text FROM bi_v1.{view} AS t")  # noqa: S608
        shown += [row[0] for row in rows]
    return "\n".join(shown)


async def test_outside_of_the_views_an_analyst_reads_nothing_at_all(
    stored: asyncpg.Connection, pii_reader: asyncpg.Connection
) -> None:
    relations = [row[0] for row in await stored.fetch(RELATIONS)]
    assert {"receiver.events", "receiver.events_before", "receiver.feed_id"} <= set(relations)
    read = [it for it in relations if not await _is_refused(pii_reader, f"TABLE {it}")]
    assert read == []


async def test_every_privilege_outside_of_the_views_is_lacking(
    stored: asyncpg.Connection, pii_reader: asyncpg.Connection
) -> None:
    who = await pii_reader.fetchval("SELECT current_user::text")
    assert await stored.fetch(PRIVILEGES, who) == []


async def test_no_function_of_ours_can_be_called(
    stored: asyncpg.Connection, pii_reader: asyncpg.Connection
) -> None:
    await stored.execute("SET search_path = pg_catalog")  # so that types are named in full
    functions = await stored.fetch(FUNCTIONS)
    names = {function["name"] for function in functions}
    assert {"append_events", "bi_text_of", "bi_pending_events", "bi_is_pending"} <= names
    reached = [
        function["name"]
        for function in functions
        if not await _is_refused(pii_reader, function["call"])
    ]
    assert reached == []


async def test_with_a_way_to_the_schema_no_function_has_more_rights_than_its_caller(
    stored: asyncpg.Connection, pii_reader: asyncpg.Connection
) -> None:
    await stored.execute("GRANT USAGE ON SCHEMA receiver TO PUBLIC")  # somebody's carelessness
    assert [row[0] for row in await stored.fetch(MORE_RIGHTS)] == ["bi_pending_events"]
    shown = await pii_reader.fetch("SELECT t::text FROM receiver.bi_pending_events() AS t")
    assert shown
    assert SECRET not in str(shown)
    assert NUMBER[1:-3] not in str(shown)
    readable = [
        relation
        for (relation,) in await stored.fetch(RELATIONS)
        if not await _is_refused(pii_reader, f"TABLE {relation}")
    ]
    assert readable == []


async def test_every_view_can_be_read_and_has_no_bytes_in_it(
    stored: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    views = [row[0] for row in await stored.fetch(VIEWS)]
    assert "messages" in views
    for view in views:
        rows = await reader.fetch(f"SELECT * FROM bi_v1.{view}")  # noqa: S608
        assert not any(isinstance(value, bytes) for row in rows for value in row.values()), view


async def test_no_payload_token_or_hash_is_in_a_view(
    stored: asyncpg.Connection, pii_reader: asyncpg.Connection
) -> None:
    shown = await _everything(stored, pii_reader)
    assert NUMBER in shown
    assert SECRET not in shown
    assert SECRET.encode().hex() not in shown


async def test_numbers_are_masked_in_every_view(
    stored: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    shown = await _everything(stored, reader)
    assert "DELIVERED" in shown
    assert NUMBER[1:-3] not in shown


@pytest.mark.usefixtures("stored")
async def test_numbers_are_whole_for_those_who_may_see_them(
    pii_reader: asyncpg.Connection,
) -> None:
    assert await pii_reader.fetchval("SELECT recipient FROM bi_v1.messages") == NUMBER
    rows = await pii_reader.fetch("SELECT i::text FROM bi_v1.inbound_messages AS i")
    assert NUMBER in rows[0][0]


async def test_a_later_view_can_be_read_once_migrated_and_a_later_table_and_function_cannot(
    stored: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    await stored.execute("CREATE VIEW bi_v1.later AS SELECT 1 AS one")
    await stored.execute("CREATE TABLE later AS SELECT 1 AS one")
    await stored.execute("CREATE FUNCTION later_function() RETURNS int LANGUAGE sql RETURN 1")
    assert await renew_grants(stored) == []  # as `migrate` does
    assert await reader.fetchval("SELECT one FROM later") == 1
    assert await _is_refused(reader, "SELECT * FROM receiver.later")
    assert await _is_refused(reader, "SELECT receiver.later_function()")


#: What a session that has given up being read-only may not do in any database.
REFUSED = (
    "CREATE TABLE bi_v1.mine (one int)",
    "CREATE TABLE receiver.mine (one int)",
    "CREATE TABLE public.mine (one int)",
    "CREATE SCHEMA mine",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "CREATE FUNCTION bi_v1.leak(text) RETURNS bool LANGUAGE sql RETURN true",
    "CREATE FUNCTION receiver.leak(text) RETURNS bool LANGUAGE sql RETURN true",
    "CREATE FUNCTION public.leak(text) RETURNS bool LANGUAGE sql RETURN true",
    "CREATE OPERATOR bi_v1.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
    "CREATE OR REPLACE VIEW bi_v1.messages AS SELECT 1 AS one",
    "DELETE FROM bi_v1.messages",
    "UPDATE bi_v1.messages SET status = 'SEEN'",
    "INSERT INTO bi_v1.messages (status) VALUES ('SEEN')",
    "SELECT * FROM bi_v1.messages FOR UPDATE",
    "DO $$ BEGIN LOCK TABLE bi_v1.messages IN EXCLUSIVE MODE; END $$",
    "COPY bi_v1.messages TO '/tmp/messages.csv'",
    "COPY bi_v1.messages TO PROGRAM 'cat'",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_read_file('postmaster.pid')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "SELECT pg_reload_conf()",
    "SELECT pg_stat_reset()",
    "SELECT nextval('receiver.feed_id')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_statistic",
    "SELECT * FROM pg_largeobject",
    "SELECT * FROM pg_hba_file_rules",
    "SET ROLE bi_reader",
    "SET ROLE bi_reader_pii",
    "SET ROLE receiver",
    "SET SESSION AUTHORIZATION receiver",
    "SET temp_file_limit = -1",
    "SET log_min_messages = 'debug5'",
    "SET session_replication_role = 'replica'",
    "CREATE ROLE mine",
    "GRANT bi_reader_pii TO CURRENT_USER",
    "GRANT pg_read_all_data TO CURRENT_USER",
    "ALTER ROLE CURRENT_USER CREATEROLE",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT 1000",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "CREATE PUBLICATION mine FOR ALL TABLES",
    "SELECT pg_create_physical_replication_slot('mine')",
)


#: What it may not do besides once the database is hardened.
REFUSED_WHEN_HARDENED = (
    "CREATE TEMPORARY TABLE mine (one int)",
    "CREATE FUNCTION pg_temp.leak(text) RETURNS bool LANGUAGE sql RETURN true",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT pg_logical_emit_message(false, 'x', 'x')",
    "SELECT pg_advisory_lock(n) FROM generate_series(1, 9) AS n",
    "SELECT pg_advisory_xact_lock(1, 2)",
    "SELECT pg_try_advisory_lock_shared(1)",
)


async def _harden(connection: asyncpg.Connection) -> list[Change]:
    changes = await find_changes(connection)
    for change in changes:
        for statement in change.statements:
            await connection.execute(statement)
    return changes


async def _give_up_being_read_only(session: asyncpg.Connection) -> None:
    await session.execute("SET default_transaction_read_only = off")
    await session.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
    assert await session.fetchval("SHOW transaction_read_only") == "off"


async def test_a_session_that_has_given_up_being_read_only_changes_nothing_of_the_database(
    reader: asyncpg.Connection,
) -> None:
    await _give_up_being_read_only(reader)
    done = [it for it in REFUSED if not await _is_refused(reader, it)]
    assert done == []


async def test_in_a_hardened_database_it_can_do_no_harm_to_others_either(
    connection: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    assert len(await _harden(connection)) == 3
    await _give_up_being_read_only(reader)
    done = [it for it in (*REFUSED, *REFUSED_WHEN_HARDENED) if not await _is_refused(reader, it)]
    assert done == []


async def test_a_session_is_read_only_to_begin_with(reader: asyncpg.Connection) -> None:
    assert await reader.fetchval("SHOW transaction_read_only") == "on"
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reader.execute("CREATE TABLE bi_v1.mine (one int)")


async def test_an_idle_transaction_lives_as_long_as_a_busy_one(url: str) -> None:
    async with analyst(url, max_seconds=171) as own_url, asking(own_url) as session:
        for limit in ("transaction", "statement", "idle_in_transaction_session"):
            assert await session.fetchval(f"SHOW {limit}_timeout") == "171s"


async def test_a_login_has_as_many_connections_as_it_was_given(url: str) -> None:
    async with analyst(url) as own_url, AsyncExitStack() as sessions:
        for _ in range(5):
            await sessions.enter_async_context(asking(own_url))
        with pytest.raises(asyncpg.TooManyConnectionsError, match="too many connections for role"):
            await asyncpg.connect(own_url)


async def test_of_others_an_analyst_sees_neither_queries_nor_values_in_statistics(
    stored: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    await stored.execute("ANALYZE")
    assert await reader.fetchval("SELECT count(*) FROM pg_stats WHERE schemaname = 'receiver'") == 0
    theirs = await reader.fetch(
        "SELECT DISTINCT query FROM pg_stat_activity"
        " WHERE usename <> current_user AND query NOT IN ('', '<insufficient privilege>')"
    )
    assert theirs == []
    schemas = await reader.fetch("SELECT DISTINCT table_schema FROM information_schema.tables")
    assert {row[0] for row in schemas} == {"bi_v1", "pg_catalog", "information_schema"}


async def test_a_service_of_another_role_than_the_one_that_migrates_goes_on(
    url: str, connection: asyncpg.Connection
) -> None:
    name = f"service_{uuid4().hex}"
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
    rights = (
        "USAGE ON SCHEMA receiver",
        "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA receiver",
        "USAGE, SELECT ON ALL SEQUENCES IN SCHEMA receiver",
    )
    for right in rights:
        await connection.execute(f"GRANT {right} TO {name}")
    await _harden(connection)
    own_url = address(url, user=name, password="plain", database=urlsplit(url).path[1:])
    async with connected(own_url) as service:
        await store(service, event("m1", campaign=None), event("m1"), event("m1", "SEEN"))
        # What corrects the roll-ups runs as the service.
        assert await service.fetchval("SELECT count(*) FROM bi_event_corrections") == 2
    await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def other_url(server_url: str) -> Iterator[str]:
    """Another database of the service in the same cluster."""
    with fresh_database(server_url) as url:
        yield url


async def test_a_login_of_one_database_reads_no_hardened_one_of_the_cluster(
    url: str, other_url: str, connection: asyncpg.Connection
) -> None:
    await _harden(connection)
    async with analyst(other_url) as own_url, connected(own_url) as session:
        assert await session.fetchval("SELECT count(*) FROM bi_v1.messages") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="database"):
            await connect(database_url(own_url, urlsplit(url).path[1:]))


async def test_a_type_of_the_sessions_own_is_not_handed_what_a_view_hides(
    stored: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    who = await reader.fetchval("SELECT current_user::text")
    database = await reader.fetchval("SELECT current_database()::text")
    await stored.execute(f'GRANT TEMPORARY ON DATABASE "{database}" TO {who}')
    await reader.execute("SET default_transaction_read_only = off")
    for kind in ("jsonb", "timestamptz"):
        await reader.execute(
            f"CREATE FUNCTION pg_temp.keep(pg_catalog.{kind}) RETURNS bool LANGUAGE plpgsql"
            " AS 'BEGIN RAISE NOTICE ''kept: %'', $1; RETURN true; END'"
        )
        await reader.execute(
            f"CREATE DOMAIN pg_temp.{kind} AS pg_catalog.{kind} CHECK (pg_temp.keep(VALUE))"
        )
    kept: list[str] = []
    reader.add_log_listener(lambda _, message: kept.append(str(message)))
    await reader.execute("SELECT '{}'::jsonb")
    assert len(kept) == 1, "the trap must be one"
    assert await reader.fetch("SELECT * FROM bi_v1.campaigns")
    assert len(kept) == 1


async def test_every_function_that_runs_anothers_text_has_a_path_of_its_own(
    stored: asyncpg.Connection,
) -> None:
    # Functions that views call run as an analyst, triggers as any role that writes. Bodies that are
    # parsed when the function is made (prosqlbody) name what they use by then.
    unpinned = await stored.fetch("""
        SELECT proname FROM pg_proc AS p
        WHERE (
                prosecdef OR prorettype = 'trigger'::regtype
                OR EXISTS (SELECT FROM pg_views WHERE definition ~ ('\\m' || p.proname || '\\('))
            )
            AND pronamespace IN ('receiver'::regnamespace, 'bi_v1'::regnamespace)
            AND prosqlbody IS NULL
            AND NOT coalesce(array_to_string(proconfig, ' '), '') ~ 'search_path=pg_catalog'
    """)
    assert unpinned == []


async def _migrated_by_a_process(url: str) -> int:
    """Its exit code."""
    migration = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("routee-receiver"),
        "migrate",
        env={**os.environ, "RECEIVER_DATABASE_URL": url},
    )
    return await migration.wait()


@pytest.mark.slow
async def test_databases_of_one_cluster_that_are_migrated_at_once_make_the_roles_once(
    tmp_path: Path,
) -> None:
    async with EmbeddedPostgres(tmp_path) as bare_url:
        urls = [database_url(bare_url, f"at_once_{number}") for number in range(3)]
        async with connected(bare_url) as server:
            for own_url in urls:
                await server.execute(f"CREATE DATABASE {urlsplit(own_url).path[1:]}")
        assert await asyncio.gather(*map(_migrated_by_a_process, urls)) == [0, 0, 0]
        for own_url in urls:
            async with analyst(own_url) as analyst_url, connected(analyst_url) as session:
                assert await session.fetchval("SELECT count(*) FROM bi_v1.messages") == 0


async def test_without_a_right_to_make_roles_the_schema_is_migrated_all_the_same(
    tmp_path: Path,
) -> None:
    async with EmbeddedPostgres(tmp_path) as bare_url, connected(bare_url) as server:
        await server.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        await server.execute("CREATE DATABASE plain OWNER plain")
        plain_url = address(bare_url, user="plain", password="plain", database="plain")
        await migrate_database(plain_url)
        async with connected(plain_url) as plain:
            lacking = await make_roles(plain)
            assert lacking == [
                "CREATE ROLE bi_reader NOLOGIN",
                "CREATE ROLE bi_reader_pii NOLOGIN",
                "GRANT USAGE ON SCHEMA bi_v1 TO bi_reader",
                "GRANT SELECT ON ALL TABLES IN SCHEMA bi_v1 TO bi_reader",
            ]
            async with connected(database_url(bare_url, "plain")) as administrator:
                for statement in lacking:
                    await administrator.execute(statement)
            assert await make_roles(plain) == []
        async with (
            analyst(database_url(bare_url, "plain")) as analyst_url,
            connected(analyst_url) as session,
        ):
            await session.execute("SET default_transaction_read_only = off")
            assert await session.fetchval("SELECT count(*) FROM bi_v1.messages") == 0
            assert await _is_refused(session, "TABLE receiver.messages")


@pytest.mark.usefixtures("stored")
async def test_neither_an_error_nor_a_plan_shows_what_a_view_masks(
    reader: asyncpg.Connection,
) -> None:
    with pytest.raises(asyncpg.DataError) as error:
        await reader.fetch("SELECT recipient::int FROM bi_v1.messages")
    assert NUMBER[1:-3] not in str(error.value)
    plan = await reader.fetch(
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM bi_v1.messages WHERE recipient::text <> ''"
        " AND recipient_key <> ''"
    )
    assert NUMBER[1:-3] not in str(plan)
    assert "recipient_secret" in str(plan)
    assert SECRET not in str(plan)
    assert SECRET.encode().hex() not in str(plan)
