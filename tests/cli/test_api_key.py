import asyncio
import json
import re
from datetime import datetime

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from tests.database import connect
from tests.docs.pages import ROOT, blocks_of


@pytest.fixture(autouse=True)
def _settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["api-key", *arguments])


def _made(name: str) -> str:
    """The id of a new key."""
    output = _run("create", "--name", name).output
    found = re.search(r"Key ([0-9a-f-]{36})", output)
    assert found, output
    return found[1]


def _states() -> list[str]:
    return re.findall(r"\b(good|revoked|expired)\b", _run("list").output)


def test_a_key_is_revoked_by_its_id() -> None:
    key_id = _made("billing")
    _made("billing")
    result = _run("revoke", key_id)
    assert result.exit_code == 0
    assert key_id in result.output
    assert _states() == ["revoked", "good"]


def test_a_key_is_revoked_by_its_name() -> None:
    key_id = _made("billing")
    _made("shipping")
    result = _run("revoke", "billing")
    assert result.exit_code == 0
    assert key_id in result.output
    assert _states() == ["revoked", "good"]


def test_a_name_of_several_keys_revokes_none_and_lists_them() -> None:
    ids = [_made("billing") for _ in range(2)]
    result = _run("revoke", "billing")
    assert result.exit_code == 1
    assert all(key_id in result.output for key_id in ids)
    assert _states() == ["good", "good"]
    assert _run("revoke", ids[0]).exit_code == 0
    assert _run("revoke", "billing").exit_code == 0
    assert _states() == ["revoked", "revoked"]


@pytest.mark.parametrize("key", ["unknown", "01890000-0000-7000-8000-000000000000"])
def test_an_unknown_key_is_an_error(key: str) -> None:
    _made("billing")
    result = _run("revoke", key)
    assert result.exit_code == 1
    assert "api-key list" in result.output
    assert _states() == ["good"]


async def _mark_used(url: str) -> None:
    connection = await connect(url)
    await connection.execute("UPDATE api_keys SET last_used_at = now()")
    await connection.close()


def test_the_list_shows_when_a_key_was_last_used(url: str) -> None:
    _made("billing")
    assert _run("list").output.count("never") == 2
    asyncio.run(_mark_used(url))
    assert _run("list").output.count("never") == 1


@pytest.mark.parametrize("columns", ["20", "80", "500"])
def test_the_list_is_on_standard_output_with_whole_ids(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    name = "a name of many words " * 10
    ids = [_made(name), _made("[bold]two\nlines\x1b[31m[/]")]
    listed = _run("list").stdout.splitlines()
    assert len(listed) == 3
    assert [line.split()[0] for line in listed] == ["id", *ids]
    assert name.strip() in listed[1]
    assert "[bold]two\ufffdlines\ufffd[31m[/]" in listed[2]


def test_the_list_can_be_read_by_a_program(url: str) -> None:
    assert json.loads(_run("list", "--json").stdout) == []
    key_id = _made("billing")
    asyncio.run(_mark_used(url))
    _run("revoke", _made("gone"))
    first, second = json.loads(_run("list", "--json").stdout)
    assert first["id"] == key_id
    assert (first["name"], first["scopes"], first["state"]) == ("billing", ["read"], "good")
    assert first["expires"] is None
    assert datetime.fromisoformat(first["lastUsed"]) >= datetime.fromisoformat(first["created"])
    assert second["state"] == "revoked"


def test_a_key_for_people_may_see_whole_numbers_on_the_dashboard() -> None:
    made = _run("create", "--name", "support", "--scope", "read", "--scope", "pii")
    assert made.exit_code == 0
    assert "with scope pii, read." in made.output
    assert json.loads(_run("list", "--json").stdout)[0]["scopes"] == ["pii", "read"]


async def _as_runbook_says(url: str) -> list[list[str]]:
    """The scopes of all keys after the command for a rollback to 0.1.0."""
    (statement,) = (
        block
        for block in blocks_of(ROOT / "docs" / "runbooks.md", "sql")
        if "array_remove" in block
    )
    connection = await connect(url)
    await connection.execute(statement)
    rows = await connection.fetch("SELECT scopes FROM receiver.api_keys ORDER BY id")
    await connection.close()
    return [row["scopes"] for row in rows]


def test_the_runbook_takes_the_new_scope_from_every_key(url: str) -> None:
    for scopes in (["read", "pii"], ["pii"], ["read"], ["admin"]):
        name = " ".join(scopes)
        _run("create", "--name", name, *(part for scope in scopes for part in ("--scope", scope)))
    _run("revoke", "pii")
    assert asyncio.run(_as_runbook_says(url)) == [["read"], [], ["read"], ["admin"]]
