"""What a process says of itself when it starts, and what it does with a newer schema."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import app
from app.cli.starting import abilities_line, database_line
from app.cli.version import version_line
from app.db.database import schema_version
from app.settings import Settings

SECRET = "a" * 32


def test_the_version_is_shown_with_the_commit_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SOURCE_COMMIT", raising=False)
    assert "commit" not in version_line()
    monkeypatch.setenv("SOURCE_COMMIT", "0123456789abcdef")
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("routee-receiver ")
    assert result.output.endswith(f" (commit 0123456789ab), schema {schema_version()}\n")


def test_what_is_off_says_what_it_lacks() -> None:
    line = abilities_line(Settings(routee_application_id="id"))
    assert "launching off (not set: RECEIVER_PUBLIC_URL, RECEIVER_SIGNING_KEYS" in line
    assert "erasure off (not set: RECEIVER_ERASURE_KEYS" in line
    assert "retention off (nothing is removed)" in line
    assert "buffer off (not set: RECEIVER_BUFFER_URL)" in line


def test_what_is_on_says_so() -> None:
    line = abilities_line(
        Settings(
            public_url="https://us.example",
            signing_keys=(SecretStr(SECRET),),
            routee_application_id="id",
            routee_application_secret=SecretStr("secret"),
            retention_raw_days=30,
            retention_inbound_days=60,
            buffer_url=("nats://me:secret@n1:4222",),
        )
    )
    assert line == (
        "launching on, erasure on, retention on (payloads 30 days, replies 60 days), "
        "buffer on (stream receiver-callbacks)"
    )


async def test_the_database_is_named_without_its_password(url: str) -> None:
    line, server = await database_line(Settings(database_url=url), url)
    assert server is not None
    assert line.startswith(f"schema {schema_version()}, PostgreSQL {server} at /")
    embedded, _ = await database_line(Settings(data_dir=Path("there")), url)
    assert embedded.endswith(f"PostgreSQL {server} embedded in there")
    away = "postgresql://me:kept@127.0.0.1:9/d"
    line, server = await database_line(Settings(database_url=away), away)
    assert (line, server) == ("PostgreSQL at 127.0.0.1:9/d, which does not answer yet", None)
