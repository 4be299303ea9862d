"""Where settings come from, and what is refused before anything starts."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.settings import SettingsInvalid, examined, hand_over, load_settings

SECRET = "a" * 32


def _faults(**variables: str) -> dict[str, str]:
    found = examined({f"RECEIVER_{name}": value for name, value in variables.items()})
    return dict(found.faults)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("RECEIVER_RETENTION_EVENT_DAYS", "RECEIVER_RETENTION_EVENTS_DAYS"),
        ("RECEIVER_DATABSE_URL", "RECEIVER_DATABASE_URL"),
        ("RECEIVER_CALLBACK_SECRET", "RECEIVER_CALLBACK_SECRETS"),
        ("RECEIVER_SIGNING_KEY_FILE", "RECEIVER_SIGNING_KEYS_FILE"),
        ("receiver_database_url", "RECEIVER_DATABASE_URL"),
    ],
)
def test_a_misspelt_variable_is_refused_with_what_was_meant(misspelt: str, meant: str) -> None:
    fault = examined({misspelt: "a-value"}).faults[misspelt]
    assert fault == f"is no setting; did you mean {meant}?"


def test_a_variable_that_is_like_no_setting_is_refused_with_where_they_are_listed() -> None:
    assert "routee-receiver config" in _faults(XYZ="1")["RECEIVER_XYZ"]


@pytest.mark.parametrize("command", [["openapi"], ["migrate"], ["api-key", "list"], ["simulate"]])
def test_no_command_starts_with_an_unknown_variable(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("RECEIVER_DATABSE_URL", "postgresql://me:a-password@h/d")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "did you mean RECEIVER_DATABASE_URL?" in result.output
    assert "a-password" not in result.output


def test_what_kubernetes_adds_for_a_service_of_our_name_is_no_setting() -> None:
    given = {
        "RECEIVER_PORT": "tcp://10.0.0.1:80",
        "RECEIVER_SERVICE_HOST": "10.0.0.1",
        "RECEIVER_SERVICE_PORT_HTTP": "80",
        "RECEIVER_PORT_80_TCP_ADDR": "10.0.0.1",
        "RECEIVER_DATABASE_PORT": "tcp://10.0.0.2:5432",
        "RECEIVER_DATABASE_SERVICE_HOST": "10.0.0.2",
        "RECEIVER_DATABASE_PORT_5432_TCP": "tcp://10.0.0.2:5432",
    }
    found = examined(given)
    assert not found.faults
    assert not found.sources
    assert found.settings.database_url == ""


def test_an_empty_variable_counts_as_not_set() -> None:
    found = examined({"RECEIVER_EMBEDDED_PORT": "", "RECEIVER_LOG_FORMAT": ""})
    assert (dict(found.sources), dict(found.faults)) == ({}, {})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("CALLBACK_SECRETS", SECRET),
        ("SIGNING_KEYS", f"{SECRET},{SECRET}b"),
        ("ERASURE_KEYS", SECRET),
        ("ROUTEE_APPLICATION_SECRET", "the secret"),
        ("DATABASE_URL", "postgresql://me:p@h/d"),
        ("DATABASE_READ_URL", "postgresql://me:p@h/d"),
        ("BUFFER_URL", "nats://me:p@n1:4222"),
    ],
)
def test_a_file_gives_what_the_variable_would(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: str
) -> None:
    monkeypatch.setenv(f"RECEIVER_{name}", content)
    by_variable = load_settings()
    monkeypatch.delenv(f"RECEIVER_{name}")
    file = tmp_path / "it"
    file.write_text(f"{content}\n")
    monkeypatch.setenv(f"RECEIVER_{name}_FILE", str(file))
    assert load_settings() == by_variable


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert _faults(SIGNING_KEYS_FILE=f"{tmp_path}/missing") == {
        "RECEIVER_SIGNING_KEYS_FILE": f"{tmp_path}/missing cannot be read "
        "(No such file or directory)"
    }
    (tmp_path / "empty").write_text("\n")
    assert (
        "is empty" in _faults(SIGNING_KEYS_FILE=f"{tmp_path}/empty")["RECEIVER_SIGNING_KEYS_FILE"]
    )
    (tmp_path / "binary").write_bytes(b"\xff")
    assert "UTF-8" in _faults(SIGNING_KEYS_FILE=f"{tmp_path}/binary")["RECEIVER_SIGNING_KEYS_FILE"]
    assert (
        "cannot be read" in _faults(SIGNING_KEYS_FILE=f"{tmp_path}")["RECEIVER_SIGNING_KEYS_FILE"]
    )


def test_a_variable_and_its_file_are_not_both_set(tmp_path: Path) -> None:
    faults = _faults(SIGNING_KEYS=SECRET, SIGNING_KEYS_FILE=f"{tmp_path}/it")
    assert "RECEIVER_SIGNING_KEYS_FILE; remove one" in faults["RECEIVER_SIGNING_KEYS"]


def test_what_is_no_secret_has_no_file() -> None:
    assert "RECEIVER_CURRENCY_FILE" in _faults(CURRENCY_FILE="x")


def test_one_wrong_setting_blames_no_other() -> None:
    found = examined({"RECEIVER_RETENTION_EVENTS_DAYS": "x", "RECEIVER_EMBEDDED_PORT": "70000"})
    assert list(found.faults) == ["RECEIVER_EMBEDDED_PORT", "RECEIVER_RETENTION_EVENTS_DAYS"]
    assert found.settings.embedded_port is None


def test_all_faults_are_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_CURRENCY", "euro")
    monkeypatch.setenv("RECEIVER_CURENCY", "EUR")
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings()
    assert "RECEIVER_CURRENCY" in str(refusal.value)
    assert "RECEIVER_CURENCY" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_workers_use_the_database_that_their_supervisor_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"HOST": "h", "USER": "me", "NAME": "d"}.items():
        monkeypatch.setenv(f"RECEIVER_DATABASE_{name}", value)
    monkeypatch.setenv("RECEIVER_DATABASE_READ_URL", "postgresql://me@r/d")
    hand_over(os.environ, database_url=load_settings().database_url, surface="callbacks")
    settings = load_settings()
    assert settings.database_url == "postgresql://me@h:5432/d"
    assert settings.database_read_url == "postgresql://me@r/d"
    assert settings.surface == "callbacks"
    for name in list(os.environ):
        if name.startswith("RECEIVER_"):
            monkeypatch.delenv(name)
