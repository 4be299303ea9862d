"""An embedded PostgreSQL with known holes lets nobody in who could use them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.running import embedded_for
from app.domain import postgres_version
from app.embedded.binaries import find_binaries
from app.errors import ConfigurationError
from app.settings import Settings

SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
_OF_ALL = (99, 0)
_SERVE = """
import sys
from app.domain import postgres_version
postgres_version.OLDEST_SAFE = {oldest}
from app.cli import main, serve
serve.listen = lambda _: sys.exit(0)
sys.argv = ["routee-receiver", "serve", *{options}]
main()
"""


@pytest.fixture(autouse=True)
def _outdated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres_version, "OLDEST_SAFE", _OF_ALL)
    monkeypatch.setenv("RECEIVER_DATA_DIR", str(tmp_path / "var"))


def test_a_login_is_refused_in_one_line_before_a_server_is_started(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["bi-user", "create", "--name", "powerbi"])
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert "99.0 closes them" in line
    assert "--accept-outdated-postgres" in line
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("command", [["api-key", "list"], ["migrate"]])
def test_a_port_is_refused(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("RECEIVER_EMBEDDED_PORT", "15432")
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", SECRET)
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert "RECEIVER_EMBEDDED_PORT lets others reach it" in refused.stderr


def test_a_port_is_allowed_if_the_setting_accepts_it_or_the_version_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError):
        embedded_for(Settings(embedded_port=15432))
    embedded_for(Settings(embedded_port=15432, accept_outdated_postgres=True))
    embedded_for(Settings())
    monkeypatch.setattr(
        postgres_version, "OLDEST_SAFE", postgres_version.version_of(find_binaries().version)
    )
    embedded_for(Settings(embedded_port=15432))


def _served(
    *options: str, settings: dict[str, str], oldest: tuple[int, int] = _OF_ALL
) -> subprocess.CompletedProcess[str]:
    """A `serve` that ends when it is about to listen."""
    return subprocess.run(  # noqa: S603 (the program under test)
        [sys.executable, "-c", _SERVE.format(oldest=oldest, options=list(options))],
        env={**os.environ, "RECEIVER_CALLBACK_SECRETS": SECRET, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("oldest", "warnings"), [(_OF_ALL, 1), ((18, 0), 0)])
@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_serve_warns_once_of_any_server_that_is_outdated(
    url: str, oldest: tuple[int, int], warnings: int, options: list[str]
) -> None:
    ended = _served(*options, settings={"RECEIVER_DATABASE_URL": url}, oldest=oldest)
    assert ended.returncode == 0
    assert ended.stderr.count("has holes that any SQL login can use") == warnings


@pytest.mark.slow
def test_serve_opens_a_port_only_if_an_option_accepts_it(unused_tcp_port: int) -> None:
    port = {"RECEIVER_EMBEDDED_PORT": str(unused_tcp_port)}
    refused = _served(settings=port)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "RECEIVER_EMBEDDED_PORT lets others reach it" in line
    accepted = _served("--accept-outdated-postgres", settings=port)
    assert accepted.returncode == 0
    assert accepted.stderr.count("Warning: ") == 1


def test_a_server_of_ones_own_gets_logins_whatever_its_version(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    name = f"analyst_{os.getpid()}"
    made = CliRunner().invoke(app, ["bi-user", "create", "--name", name])
    assert made.exit_code == 0
    assert CliRunner().invoke(app, ["bi-user", "remove", "--name", name]).exit_code == 0
