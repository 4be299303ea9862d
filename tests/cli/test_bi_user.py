import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.db.bi.address import address
from app.db.bi.watchdog import Verdict, end_long_sessions
from app.db.database import Database, migrate_database
from app.domain import postgres_version
from app.embedded import EmbeddedPostgres
from app.sandbox.processes import eventually
from tests.conftest import database_url


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bi-user", *arguments])


async def _ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def _do(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(script)
    await connection.close()


def _asked(url: str, question: str) -> object:
    return asyncio.run(_ask(url, question))


@pytest.fixture
def name(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name that no login of the cluster has, and none has afterwards."""
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    name = f"powerbi_{uuid4().hex}"
    yield name
    _run("remove", "--name", name)


def test_the_last_line_is_a_uri_that_reads_the_views_with_masked_numbers(name: str) -> None:
    made = _run("create", "--name", name)
    assert made.exit_code == 0
    uri = made.stdout.splitlines()[-1]
    assert _asked(uri, "SELECT count(*) FROM messages") == 0  # of bi_v1, by the search_path
    assert _asked(uri, "SELECT current_user::text") == name
    assert _asked(uri, "SELECT bi_v1.shown_number('+306912345678')") != "+306912345678"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        _asked(uri, "SELECT count(*) FROM receiver.messages")


def test_with_pii_numbers_are_whole(name: str) -> None:
    uri = _run("create", "--name", name, "--pii").stdout.splitlines()[-1]
    assert _asked(uri, "SELECT bi_v1.shown_number('+306912345678')") == "+306912345678"


def test_a_session_begins_with_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_BI_MAX_SECONDS", "120")
    uri = _run("create", "--name", name, "--max-connections", "1").stdout.splitlines()[-1]
    found = {
        setting: _asked(uri, f"SHOW {setting}")
        for setting in (
            "statement_timeout",
            "transaction_timeout",
            "idle_in_transaction_session_timeout",
            "default_transaction_read_only",
            "temp_file_limit",
        )
    }
    assert found == {
        "statement_timeout": "2min",
        "transaction_timeout": "2min",
        "idle_in_transaction_session_timeout": "2min",
        "default_transaction_read_only": "on",
        "temp_file_limit": "10GB",
    }


@pytest.mark.parametrize("word", ["order", "select", "table", "all", "default"])
@pytest.mark.usefixtures("name")
def test_a_word_of_sql_can_be_a_name(word: str) -> None:
    made = _run("create", "--name", word)
    try:
        assert made.exit_code == 0, made.output
        uri = made.stdout.splitlines()[-1]
        assert _asked(uri, "SELECT current_user::text") == word
        assert _asked(uri, "SELECT count(*) FROM messages") == 0
    finally:
        assert _run("remove", "--name", word).exit_code == 0


def test_a_name_that_is_taken_is_refused(name: str) -> None:
    assert _run("create", "--name", name).exit_code == 0
    again = _run("create", "--name", name)
    assert again.exit_code == 1
    assert "already" in again.output
    assert "postgresql://" not in again.output


@pytest.mark.parametrize(
    "bad", ["", "Upper", "1st", "a-b", 'a"b', "pg_x", "bi_reader_pii", "a" * 64]
)
@pytest.mark.usefixtures("name")
def test_what_cannot_be_a_name_is_refused(bad: str) -> None:
    refused = _run("create", "--name", bad)
    assert refused.exit_code == 1
    assert "cannot be the name" in refused.output


def test_a_login_is_listed_and_a_removed_one_is_not(name: str) -> None:
    uri = _run("create", "--name", name, "--pii").stdout.splitlines()[-1]
    listed = _run("list").output
    assert name[:10] in listed
    assert "whole" in listed
    removed = _run("remove", "--name", name)
    assert removed.exit_code == 0
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        _asked(uri, "SELECT 1")


@pytest.mark.parametrize("role", ["nobody_at_all", "receiver", "bi_reader", "pg_monitor"])
@pytest.mark.usefixtures("name")
def test_only_logins_of_analysts_are_removed(role: str) -> None:
    removed = _run("remove", "--name", role)
    assert removed.exit_code == 1
    assert "bi-user list" in removed.output


def test_the_uri_leads_to_the_replica_if_there_is_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "RECEIVER_DATABASE_READ_URL",
        f"postgresql://service:kept@replica.example:6432/receiver?sslmode=verify-full&sslkey={__file__}",
    )
    uri = urlsplit(_run("create", "--name", name).stdout.splitlines()[-1])
    assert (uri.hostname, uri.port, uri.username) == ("replica.example", 6432, name)
    assert dict(parse_qsl(uri.query)) == {"sslmode": "verify-full"}
    assert "kept" not in uri.geturl()


class _Service(NamedTuple):
    """A service whose role is no superuser, in a database of its own."""

    role: str
    url: str
    as_superuser: str


@pytest.fixture
def service(server_url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Service]:
    role = f"service_{uuid4().hex}"
    as_superuser = database_url(server_url, role)
    url = address(as_superuser, user=role, password="plain", database=role)
    asyncio.run(_do(server_url, f"CREATE ROLE {role} LOGIN PASSWORD 'plain'"))
    asyncio.run(_do(server_url, f"CREATE DATABASE {role} OWNER {role}"))
    asyncio.run(migrate_database(url))
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    yield _Service(role, url, as_superuser)
    monkeypatch.setenv("RECEIVER_DATABASE_URL", as_superuser)
    _run("remove", "--name", name)
    asyncio.run(_do(server_url, f"DROP DATABASE {role} WITH (FORCE)"))
    asyncio.run(_do(server_url, f"DROP ROLE {role}"))


async def _end_sleep(service: _Service, uri: str) -> list[Verdict]:
    """What the service, by its own role, does to an analyst's endless query."""
    database = Database(service.url, name="tests", pool_items=1)
    query = asyncio.create_task(_ask(uri, "SELECT pg_sleep(60)"))
    sleeping = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = $1"
    administrator = await asyncpg.connect(service.as_superuser)

    async def _sleeps() -> bool:  # an earlier statement could be ended in its place
        return bool(await administrator.fetch(sleeping, urlsplit(uri).username))

    await eventually(_sleeps)
    await administrator.close()
    ended: list[Verdict] = []
    while not ended:
        ended = [it.verdict for it in await end_long_sessions(database, timedelta(0))]
    with pytest.raises(asyncpg.QueryCanceledError):
        await query
    await database.close()
    return ended


def test_without_the_right_it_says_what_an_administrator_runs(service: _Service, name: str) -> None:
    refused = _run("create", "--name", name)
    assert refused.exit_code == 1
    lines = refused.stderr.splitlines()
    script = "\n".join(line for line in lines if line.endswith(";"))
    [uri] = [line for line in lines if line.startswith("postgresql://")]
    assert "CREATE ROLE" in script

    asyncio.run(_do(service.as_superuser, script))
    assert _asked(uri, "SELECT count(*) FROM bi_v1.messages") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        _asked(uri, "TABLE receiver.messages")
    assert asyncio.run(_end_sleep(service, uri)) == [Verdict.CANCELLED]


def test_a_role_that_may_make_roles_makes_logins_and_may_end_their_queries(
    service: _Service, name: str
) -> None:
    grants = (
        f"ALTER ROLE {service.role} CREATEROLE;"
        f"GRANT bi_reader, bi_reader_pii TO {service.role} WITH ADMIN TRUE, INHERIT FALSE"
    )
    asyncio.run(_do(service.as_superuser, grants))
    made = _run("create", "--name", name)
    assert made.exit_code == 0, made.output
    assert "bi-user harden" in made.stderr
    uri = made.stdout.splitlines()[-1]
    assert _asked(uri, "SELECT count(*) FROM bi_v1.messages") == 0
    assert asyncio.run(_end_sleep(service, uri)) == [Verdict.CANCELLED]
    assert _run("remove", "--name", name).exit_code == 0


def test_hardening_asks_first_and_then_has_nothing_to_change(name: str) -> None:
    assert "bi-user harden" in _run("create", "--name", name).stderr
    shown = _run("harden", "--dry-run")
    assert shown.exit_code == 0
    assert shown.stdout.count("REVOKE") == 3
    asked = CliRunner().invoke(app, ["bi-user", "harden"], input="n\n")
    assert asked.exit_code == 1
    assert asked.stdout.startswith(shown.stdout)
    assert _run("harden", "--dry-run").stdout == shown.stdout  # nothing has changed
    assert _run("harden", "--yes").exit_code == 0
    again = _run("harden")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing to change" in again.stderr
    assert _run("remove", "--name", name).exit_code == 0
    assert "bi-user harden" not in _run("create", "--name", name).stderr


def test_what_hardening_lacks_is_a_script_for_an_administrator(service: _Service) -> None:
    ours, _, others = _run("harden", "--dry-run").stdout.partition("-- For an administrator")
    assert "REVOKE CONNECT, TEMPORARY ON DATABASE" in ours
    assert "DATABASE" not in others
    lacking = _run("harden", "--yes")
    assert lacking.exit_code == 1
    left = _run("harden", "--yes")
    assert left.exit_code == 1
    assert left.stdout.startswith("-- For an administrator")
    asyncio.run(_do(service.as_superuser, left.stdout))
    assert _run("harden", "--yes").exit_code == 0


def test_the_uri_leads_to_the_port_of_the_embedded_server(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(postgres_version, "OLDEST_SAFE", (18, 999))
    folder = Path(tempfile.mkdtemp(prefix="rr-bi-"))
    monkeypatch.setenv("RECEIVER_DATA_DIR", str(folder))
    monkeypatch.setenv("RECEIVER_EMBEDDED_PORT", str(unused_tcp_port))
    server = EmbeddedPostgres(folder, port=unused_tcp_port)
    url = asyncio.run(server.acquire())
    try:
        asyncio.run(migrate_database(url))
        refused = _run("create", "--name", "powerbi")
        assert refused.exit_code == 1
        assert "has holes that any SQL login can use" in refused.stderr
        accepted = _run("create", "--name", "powerbi", "--accept-outdated-postgres")
        uri = accepted.stdout.splitlines()[-1]
        assert f"@127.0.0.1:{unused_tcp_port}/receiver" in uri
        assert _asked(uri, "SELECT count(*) FROM bi_v1.messages") == 0
        if shutil.which("psql"):
            asked = ["psql", uri, "-Atc", "SELECT count(*) FROM messages"]
            assert subprocess.check_output(asked, text=True).strip() == "0"  # noqa: S603
    finally:
        asyncio.run(server.release())
        shutil.rmtree(folder)


@pytest.mark.parametrize("columns", ["20", "500"])
def test_the_list_is_on_standard_output_with_whole_names(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    _run("create", "--name", name, "--max-connections", "7")
    (line,) = [line for line in _run("list").stdout.splitlines() if name in line]
    assert line.split() == [name, "masked", "7", "0"]
    (row,) = [one for one in json.loads(_run("list", "--json").stdout) if one["name"] == name]
    assert row == {"name": name, "numbers": "masked", "maxConnections": 7, "sessions": 0}
