import asyncio
import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.db.schema import needed_version
from tests.conftest import database_url
from tests.database import connect

HEAD = needed_version()


@pytest.fixture
def empty(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a database without a schema, which the settings name."""
    name = f"empty_{uuid4().hex}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    url = database_url(server_url, name)
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    yield url
    asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def migrated(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database with the current schema, which the settings name."""
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    return url


async def _execute(url: str, statement: str) -> object:
    connection = await connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["migrate", *arguments], input=answer)


def test_the_status_says_what_would_run_until_nothing_would(empty: str) -> None:
    assert empty
    before = _run("--status", "--json")
    assert before.exit_code == 1
    found = json.loads(before.stdout)
    assert (found["schema"], found["needed"], found["state"]) == ("base", HEAD, "behind")
    assert found["wouldRun"][-1]["revision"] == HEAD
    assert f"would run   {HEAD} up: " in _run("--status").stdout
    done = _run()
    assert done.exit_code == 0, done.output
    assert f"{HEAD} has been applied." in done.stderr
    after = _run("--status")
    assert (after.exit_code, after.stdout.splitlines()[-1]) == (0, "state       current")
    again = _run()
    assert again.exit_code == 0
    assert "applied" not in again.stderr


def test_going_down_says_what_is_lost_and_asks(migrated: str) -> None:
    status = _run("--status", "--to", "base")
    assert status.exit_code == 1
    assert "loses       Everything: campaigns" in status.stdout
    refused = _run("--to", "base", answer="n\n")
    assert refused.exit_code == 1
    assert "This is lost:" in refused.stderr
    assert _run("--status").exit_code == 0, "nothing has happened"
    down = _run("--to", "base", "--yes")
    assert down.exit_code == 0, down.output
    assert "0001 has been taken back." in down.stderr
    assert "at version base" in down.stderr
    assert _run("--to", "base").exit_code == 0
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('bi_v1')"
    assert asyncio.run(_execute(migrated, left)) == 0
    assert _run("--to", HEAD).exit_code == 0
    assert _run("--status").exit_code == 0


def test_a_schema_of_a_newer_program_is_left_alone_and_named(migrated: str) -> None:
    asyncio.run(_execute(migrated, "UPDATE alembic_version SET version_num = '9999'"))
    status = _run("--status", "--json")
    assert status.exit_code == 1
    assert json.loads(status.stdout)["state"] == "unknown"
    for arguments in ((), ("--to", "base", "--yes")):
        result = _run(*arguments)
        assert result.exit_code == 1
        assert "9999, which this program does not know" in result.stderr
        assert "Traceback" not in result.output


def test_a_revision_that_does_not_exist_is_refused_with_those_that_do(migrated: str) -> None:
    assert migrated
    result = _run("--to", "0815")
    assert result.exit_code == 1
    assert "There is no revision 0815: this program has base, 0001" in result.stderr
    assert _run("--json").exit_code == 2
