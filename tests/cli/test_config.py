from pathlib import Path

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
    assert "RECEIVER_MAX_BODY_BYTES=2048  # environment\n" in shown
    assert "RECEIVER_DATABASE_URL=postgresql://me:***@host/db  # environment\n" in shown
    assert "RECEIVER_LOG_FORMAT=console  # default\n" in shown


def test_what_is_unusable_is_shown_with_the_reason_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text(f"{SECRET}\n")
    monkeypatch.setenv("RECEIVER_SIGNING_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql://me:hun/ter22@host/db")
    monkeypatch.setenv("RECEIVER_CURRENCY", "euro")
    monkeypatch.setenv("RECEIVER_CURENCY", "EUR")
    result = CliRunner().invoke(app, ["config"])
    assert result.exit_code == 1
    assert f"RECEIVER_SIGNING_KEYS=***  # file {tmp_path}/keys\n" in result.stdout
    assert "RECEIVER_CURRENCY=  # unusable" in result.stdout
    assert "RECEIVER_LOG_FORMAT=console  # default\n" in result.stdout
    for name in ("RECEIVER_DATABASE_URL", "RECEIVER_CURRENCY", "RECEIVER_CURENCY"):
        assert f"routee-receiver: {name}: " in result.stderr
    assert "ter22" not in result.output


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    page = _run("--markdown")
    monkeypatch.setenv("RECEIVER_MAX_BODY_BYTES", "2048")
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", SECRET)
    assert _run("--markdown") == page
