import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.services.rebuild import _REBUILD_LOCK
from tests.database import connect
from tests.services.rebuild_stage import execute, tell_the_story

DAMAGE = "UPDATE messages SET recipient = '+306999999876' WHERE message_tracking_id = 'm2'"


@pytest.fixture(autouse=True)
def _settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    asyncio.run(_told(url))


async def _told(url: str) -> None:
    connection = await connect(url)
    await tell_the_story(url, connection, messages=6)
    await connection.close()


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rebuild", *arguments])


def _do(doing: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(doing)


def test_what_differs_is_shown_repaired_and_then_right(url: str) -> None:
    result = _run("--verify")
    assert result.exit_code == 0, result.output
    assert "6 messages compared." in result.stderr
    assert "Nothing differs." in result.stderr
    _do(execute(url, DAMAGE))
    result = _run("--verify")
    assert result.exit_code == 1
    titles, row = result.stdout.splitlines()
    assert titles.split() == ["projection", "key", "column", "stored", "expected"]
    assert row.split()[:4] == ["messages", "m2", "recipient", "***876"]
    assert "messages: 1 rows differ." in result.stderr
    (found,) = json.loads(_run("--verify", "--json").stdout)
    assert found["key"] == {"message_tracking_id": "m2"}
    assert found["stored"] == "***876"
    result = _run()
    assert result.exit_code == 0
    assert "1 rows repaired." in result.stderr
    assert _run("--verify").exit_code == 0
    assert json.loads(_run("--json").stdout) == []


def test_what_cannot_be_repaired_is_said(url: str) -> None:
    _do(execute(url, "DELETE FROM events WHERE message_tracking_id = 'm2'"))
    result = _run("--limit", "0")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert "without events" in _run("--verify").stdout


def test_a_second_rebuild_is_refused_in_one_line(url: str) -> None:
    async def _meanwhile() -> Result:
        connection = await connect(url)
        await connection.execute("SELECT pg_advisory_lock($1)", _REBUILD_LOCK)
        result = await asyncio.to_thread(_run)
        await connection.close()
        return result

    result = asyncio.run(_meanwhile())
    assert result.exit_code == 1
    assert "Another process is rebuilding the projections." in result.stderr


def test_only_a_rebuild_is_restarted() -> None:
    assert _run("--restart").exit_code == 0
    assert _run("--verify", "--restart").exit_code == 2
