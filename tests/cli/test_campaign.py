import json

import asyncpg
import pytest
from typer.testing import CliRunner

from app.cli import app

_LAUNCHES = """
INSERT INTO campaigns (id, name, submission, tracking_id, created_at) VALUES
    ('019b0000-0000-7000-8000-000000000001', 'spring', 'unconfirmed', NULL, '2026-01-31 12:00Z'),
    ('019b0000-0000-7000-8000-000000000002', 'summer', 'launched', 't-2', '2026-01-31 13:00Z')
"""


@pytest.fixture
async def launches(
    url: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connection.execute(_LAUNCHES)
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["campaign", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("launches")
def test_an_unconfirmed_launch_is_listed_and_gone_when_it_is_resolved() -> None:
    unconfirmed = ("list", "--submission", "unconfirmed", "--json")
    [found] = json.loads(_run(*unconfirmed))
    assert found["name"] == "spring"
    assert found["trackingId"] is None
    _run("resolve", found["id"], "launched", "--tracking-id", "t-1")
    assert json.loads(_run(*unconfirmed)) == []


@pytest.mark.usefixtures("launches")
def test_campaigns_are_listed_for_a_person_the_newest_first() -> None:
    lines = _run("list").splitlines()
    assert lines[0].split() == ["id", "submission", "created", "attempts", "trackingId", "name"]
    assert lines[1].split()[-2:] == ["t-2", "summer"]
    assert lines[2].split()[-2:] == ["-", "spring"]
    assert "--limit" in CliRunner().invoke(app, ["campaign", "list", "--limit", "1"]).stderr
