import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.db.ingest import append_quarantined
from app.domain.quarantine import Reason, quarantined
from tests.database import connect
from tests.promises.load import callback

SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
PATH = "/callbacks/***/status"
LONG_AGO = datetime.now(UTC) - timedelta(days=3)
BROKEN = f'{{"inboundUrl": "https://x/callbacks/{SECRET}/inbound",'.encode()


@pytest.fixture(autouse=True)
def _settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", SECRET)


@pytest.fixture(autouse=True)
def ids(url: str) -> Sequence[str]:
    """A body that can be read by now, and one that cannot; received in this order."""

    async def _store() -> list[str]:
        connection = await connect(url)
        for octets, reason in (
            (callback("m1").body, Reason.REFUSED_BY_DATABASE),
            (BROKEN, Reason.NOT_JSON),
        ):
            body = quarantined(octets, reason, path=PATH)
            await append_quarantined(connection, [body], LONG_AGO)
        rows = await connection.fetch("SELECT id::text FROM quarantine ORDER BY id")
        await connection.close()
        return [row[0] for row in rows]

    return asyncio.run(_store())


def _run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["quarantine", *arguments], input=answer)


def _listed(*arguments: str) -> list[dict[str, Any]]:
    result = _run("list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def _events(url: str) -> list[asyncpg.Record]:
    async def _fetch() -> list[asyncpg.Record]:
        connection = await connect(url)
        try:
            return list(await connection.fetch("SELECT received_at FROM events"))
        finally:
            await connection.close()

    return asyncio.run(_fetch())


def test_bodies_are_listed_shown_and_dropped(ids: Sequence[str]) -> None:
    assert [str(row["id"]) for row in _listed()] == list(ids)
    assert [str(row["id"]) for row in _listed("--reason", "not-json")] == [ids[1]]
    assert _listed("--until", (LONG_AGO - timedelta(days=1)).isoformat()) == []
    assert _listed("--path", "inbound") == []
    assert "more than 1" in _run("list", "--limit", "1").stderr
    shown = _run("show", ids[1]).stdout
    assert "callbacks/***/inbound" in shown
    assert SECRET not in shown
    assert _run("show", ids[1], "--raw").stdout_bytes == BROKEN
    assert _run("drop", ids[1], answer="n\n").exit_code == 1
    assert _run("drop", ids[1], "--yes").exit_code == 0
    assert [_run(*command).exit_code for command in (
        ("show", ids[1]), ("show", ids[1], "--raw"), ("drop", ids[1], "--yes"), ("replay", ids[1])
    )] == [1] * 4  # fmt: skip


def test_a_replay_shows_what_became_of_the_bodies(url: str, ids: Sequence[str]) -> None:
    for _ in range(2):  # a dry run changes nothing
        dry = _run("replay", "--dry-run", "--json")
        assert dry.exit_code == 0, dry.output
        assert [row["outcome"] for row in json.loads(dry.stdout)] == ["stored", "not-stored"]
    assert _events(url) == []
    result = _run("replay", "--since", (LONG_AGO - timedelta(days=1)).isoformat())
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["outcome", "reason", "bodies"],
        ["not-stored", "not-json", "1"],
        ["stored", "1"],
    ]
    assert [row[0] for row in _events(url)] == [LONG_AGO]
    again = _run("replay", *ids, "--json")
    assert [row["outcome"] for row in json.loads(again.stdout)] == ["stored", "not-stored"]
    assert [row["outcome"] for row in _listed()] == ["stored", "not-stored"]


def test_ids_and_filters_together_are_refused(ids: Sequence[str]) -> None:
    assert _run("replay", ids[0], "--reason", "not-json").exit_code == 2


def test_a_replay_needs_the_callback_secrets_to_mask_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECEIVER_CALLBACK_SECRETS")
    result = _run("replay")
    assert result.exit_code == 1
    assert "RECEIVER_CALLBACK_SECRETS" in result.output
