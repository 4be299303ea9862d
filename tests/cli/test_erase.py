import asyncio

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.services.erasure import erasures
from tests.database import connect

NUMBER = "+306955512345"
KEY = "a-key-of-the-tests-0123456789abcdef"


@pytest.fixture(autouse=True)
def _settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    monkeypatch.setenv("RECEIVER_ERASURE_KEYS", KEY)
    monkeypatch.setattr(erasures, "KNOWN_WITHIN_SECONDS", 0)


def _run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["erase", *arguments], input=answer)


async def _fetch(url: str, query: str) -> list[asyncpg.Record]:
    connection = await connect(url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


def _number(url: str, query: str) -> int:
    return int(asyncio.run(_fetch(url, query))[0][0])


def _store(url: str) -> None:
    asyncio.run(
        _fetch(
            url,
            "INSERT INTO messages (message_tracking_id, status_at, status, status_key,"  # noqa: S608
            " provider_status, status_rank, recipient)"
            f" VALUES ('m', now(), 'SENT', 'SENT', '', 2, '{NUMBER}')",
        )
    )


def test_a_recipient_is_erased_once_it_is_confirmed(url: str) -> None:
    _store(url)
    assert _run(NUMBER, answer="n\n").exit_code == 1
    assert _number(url, "SELECT count(*) FROM erased_recipients") == 0
    result = _run(NUMBER, answer="y\n")
    assert result.exit_code == 0
    assert "messages" in result.output
    assert _number(url, "SELECT count(*) FROM messages WHERE recipient LIKE 'erased:%'") == 1
    assert "Nothing of the recipient is stored" in _run(NUMBER, "--yes").output


def test_a_dry_run_asks_nothing_and_changes_nothing(url: str) -> None:
    _store(url)
    assert _run(NUMBER, "--dry-run").exit_code == 0
    assert _number(url, "SELECT count(*) FROM erased_recipients") == 0


def test_an_erasure_is_lifted(url: str) -> None:
    _run(NUMBER, "--yes")
    assert _run(NUMBER, "--lift").exit_code == 0
    assert _number(url, "SELECT count(*) FROM erased_recipients") == 0
    assert _run(NUMBER, "--lift").exit_code == 1


def test_without_a_key_it_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECEIVER_ERASURE_KEYS")
    result = _run(NUMBER, "--yes")
    assert result.exit_code == 1
    assert "token_urlsafe" in result.output


def test_no_number_is_printed(url: str) -> None:
    _store(url)
    assert NUMBER.removeprefix("+") not in _run(NUMBER, "--yes").output
