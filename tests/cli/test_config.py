import pytest
from typer.testing import CliRunner

from app.cli import app

SECRET = "a-secret-that-must-not-be-shown-0123456"


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["config", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_secrets_and_passwords_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", SECRET)
    monkeypatch.setenv("RECEIVER_ROUTEE_APPLICATION_SECRET", SECRET)
    monkeypatch.setenv("RECEIVER_DATABASE_URL", f"postgresql://me:{SECRET}@host/db")
    monkeypatch.setenv("RECEIVER_MAX_BODY_BYTES", "2048")
    shown = _run()
    assert SECRET not in shown
    assert shown.count("***") == 3
    assert "RECEIVER_MAX_BODY_BYTES=2048\n" in shown


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    page = _run("--markdown")
    monkeypatch.setenv("RECEIVER_MAX_BODY_BYTES", "2048")
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", SECRET)
    assert _run("--markdown") == page
