"""`routee-receiver doctor` on a set-up that works, and on ones that were broken on purpose."""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.listening import http_protocol
from app.main import build_app
from app.sandbox.behaviour import Behaviour
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from app.settings import load_settings
from tests.conftest import database_url, fresh_database
from tests.database import connect

SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
OTHER_SECRET = "former-secret-pT4zK8yWq6JfVn2HcXr9Lm5B"
SIGNING_KEY = "signing-key-bV7sD3kPz9QxWc4RnTy6Hj2M"
PASSWORD = "pass-word-of-the-role"


class Found(NamedTuple):
    """What a run of the command found."""

    exit_code: int
    findings: list[dict[str, Any]]

    def of(self, check: str, verdict: str) -> str:
        """The only finding like that, with its advice."""
        [found] = [
            one for one in self.findings if (one["check"], one["verdict"]) == (check, verdict)
        ]
        return f"{found['text']} -> {found['advice']}"


def examine(*checks: str) -> Found:
    only = [argument for check in checks for argument in ("--only", check)]
    result = CliRunner().invoke(app, ["doctor", "--json", *only])
    document = result.stdout[result.stdout.index("[\n") :]  # behind logs, in a test
    for secret in (SECRET, OTHER_SECRET, SIGNING_KEY, PASSWORD):
        assert secret not in result.output
    return Found(result.exit_code, json.loads(document))


@pytest.fixture(autouse=True)
def settings(url: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", SECRET)
    monkeypatch.setenv("RECEIVER_SIGNING_KEYS", SIGNING_KEY)
    return monkeypatch


@asynccontextmanager
async def service(**changes: str) -> AsyncIterator[str]:
    """The service with the settings of the environment, but for *changes*."""
    own = load_settings().model_copy(update=changes)
    listening = listening_socket()
    async with served(build_app(own), listening, http=http_protocol(own)):
        yield url_of(listening)


async def test_a_callback_is_followed_to_the_database_and_removed(
    settings: pytest.MonkeyPatch, url: str
) -> None:
    async with service() as address:
        settings.setenv("RECEIVER_PUBLIC_URL", address)
        found = await asyncio.to_thread(examine)
    hops = [(one["verdict"], one["text"]) for one in found.findings if one["check"] == "public-url"]
    assert [verdict for verdict, _ in hops] == ["warning", "ok", "ok", "ok"]
    assert "acknowledged" in hops[2][1]
    assert "removed" in hops[3][1]
    assert found.exit_code == 1
    assert not [one for one in found.findings if one["verdict"] == "fault"]
    skipped = {one["check"]: one["text"] for one in found.findings if one["verdict"] == "skipped"}
    assert skipped.keys() == {"replica", "buffer", "routee", "callback-sources"}
    assert skipped["buffer"] == "RECEIVER_BUFFER_URL not set"
    connection = await connect(url)
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0
    assert await connection.fetchval("SELECT count(*) FROM events") == 0
    await connection.close()


async def test_a_service_that_takes_callbacks_from_elsewhere_only_is_no_fault(
    settings: pytest.MonkeyPatch,
) -> None:
    settings.setenv("RECEIVER_CALLBACK_SOURCES", "192.0.2.0/24")
    async with service() as address:
        settings.setenv("RECEIVER_PUBLIC_URL", address)
        found = await asyncio.to_thread(examine, "public-url")
    assert found.exit_code == 1
    texts = [one["text"] for one in found.findings if one["check"] == "public-url"]
    assert "RECEIVER_CALLBACK_SOURCES has not this machine" in texts[-1]


async def test_a_person_reads_a_line_for_each_finding(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("RECEIVER_PUBLIC_URL", "http://127.0.0.1:9")
    result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor"])
    assert result.exit_code == 2
    assert "FAULT   public-url no connection to 127.0.0.1:9" in result.stdout
    assert "→ See the proxy and the firewall." in result.stdout
    refused = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--only", "databse"])
    assert "There is no check 'databse'" in refused.stderr


def test_a_setting_that_is_none_is_a_fault_and_nothing_is_examined_with_it(
    settings: pytest.MonkeyPatch,
) -> None:
    settings.setenv("RECEIVER_DATABSE_URL", "postgresql://x")
    found = examine()
    assert "did you mean RECEIVER_DATABASE_URL?" in found.of("settings", "fault")
    assert {one["verdict"] for one in found.findings[1:]} == {"skipped"}
    assert found.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "check", "verdict", "text"),
    [
        ({"CALLBACK_SECRETS": ""}, "features", "fault", "every callback would be refused"),
        ({"CALLBACK_SECRETS": "abc" * 14}, "secrets", "warning", "looks made by hand"),
        ({"SIGNING_KEYS": SECRET}, "secrets", "warning", "have a secret in common"),
        ({"DATABASE_URL": "postgresql://a:b@127.0.0.1:9/x"}, "database", "fault", "127.0.0.1:9"),
        ({"DATABASE_READ_URL": "postgresql://a:b@127.0.0.1:9/x"}, "replica", "fault", "refuses"),
        ({"ROUTEE_APPLICATION_ID": "x"}, "features", "warning", "RECEIVER_PUBLIC_URL"),
        ({"PUBLIC_URL": ""}, "public-url", "skipped", "RECEIVER_PUBLIC_URL not set"),
    ],
)
def test_what_is_set_wrong_is_named(
    settings: pytest.MonkeyPatch, changes: Mapping[str, str], check: str, verdict: str, text: str
) -> None:
    for name, value in changes.items():
        settings.setenv(f"RECEIVER_{name}", value)
    assert text in examine(check).of(check, verdict)


def test_who_receives_only_is_told_so_and_not_warned() -> None:
    found = examine("features")
    texts = [one["text"] for one in found.findings if one["check"] == "features"]
    assert "nor can Routee be asked" in texts[-1]
    assert found.exit_code == 0


def test_an_embedded_database_that_is_not_there_is_named_and_not_made(
    settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.setenv("RECEIVER_DATABASE_URL", "")
    settings.setenv("RECEIVER_DATA_DIR", str(tmp_path / "var"))
    found = examine("schema")
    assert "there is no database in" in found.of("database", "fault")
    assert found.exit_code == 2
    assert not (tmp_path / "var").exists()


async def test_an_empty_database_is_told_from_a_migrated_one(
    settings: pytest.MonkeyPatch, server_url: str
) -> None:
    name = f"empty_{uuid4().hex}"
    await _execute(server_url, f"CREATE DATABASE {name}")
    settings.setenv("RECEIVER_DATABASE_URL", database_url(server_url, name))
    found = await asyncio.to_thread(examine)
    assert "routee-receiver migrate" in found.of("schema", "fault")
    assert "needs schema" in found.of("rights", "skipped")
    assert "fsync" in found.of("durability", "ok")
    await _execute(server_url, f"DROP DATABASE {name}")


async def test_a_role_without_rights_and_with_few_connections_is_named(
    settings: pytest.MonkeyPatch, url: str
) -> None:
    role = f"limited_{uuid4().hex}"
    await _execute(
        url,
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 5;"
        f"GRANT USAGE ON SCHEMA receiver TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA receiver TO {role}",
    )
    parts = urlsplit(url)
    own = parts._replace(netloc=f"{role}:{quote(PASSWORD)}@{parts.netloc.rpartition('@')[2]}")
    settings.setenv("RECEIVER_DATABASE_URL", own.geturl())
    found = await asyncio.to_thread(examine, "rights", "capacity")
    await _execute(url, f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert f"{role} lacks" in found.of("rights", "fault")
    assert "the role may have 5" in found.of("capacity", "fault")


async def test_a_server_that_loses_what_it_acknowledged_is_named(url: str) -> None:
    await _execute(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    try:
        await _until(url, "SHOW fsync", "off")
        found = await asyncio.to_thread(examine, "durability")
    finally:
        await _execute(url, "ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")
        await _until(url, "SHOW fsync", "on")
    assert "fsync is off" in found.of("durability", "fault")


def test_a_full_disk_is_named(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    settings.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    settings.setenv("RECEIVER_DATABASE_URL", "")
    settings.setenv("RECEIVER_DATA_DIR", str(tmp_path))
    assert "0.0 of" in examine("disk").of("disk", "fault")


def test_a_source_of_callbacks_without_an_address_is_named(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("RECEIVER_CALLBACK_SOURCES", "192.0.2.0/24,localhost")
    assert examine("callback-sources").of("callback-sources", "ok")
    settings.setenv("RECEIVER_CALLBACK_SOURCES", "localhost,nowhere.invalid")
    found = examine("callback-sources").of("callback-sources", "fault")
    assert "DNS has no address of nowhere.invalid" in found


async def test_credentials_that_routee_refuses_are_named(settings: pytest.MonkeyPatch) -> None:
    routee = SimulatedRoutee(
        behaviour=Behaviour(), application_id="id", application_secret=OTHER_SECRET
    )
    listening = listening_socket()
    async with served(routee.app, listening):
        for name in ("AUTH_URL", "API_URL"):
            settings.setenv(f"RECEIVER_ROUTEE_{name}", url_of(listening))
        settings.setenv("RECEIVER_ROUTEE_APPLICATION_ID", "id")
        settings.setenv("RECEIVER_ROUTEE_APPLICATION_SECRET", SIGNING_KEY)
        found = await asyncio.to_thread(examine, "routee")
        assert "RECEIVER_ROUTEE_APPLICATION_ID" in found.of("routee", "fault")
        settings.setenv("RECEIVER_ROUTEE_APPLICATION_SECRET", OTHER_SECRET)
        assert (await asyncio.to_thread(examine, "routee")).of("routee", "ok")


async def test_a_buffer_that_may_lose_callbacks_is_named(
    settings: pytest.MonkeyPatch, nats_url: str, nats_monitor_url: str
) -> None:
    settings.setenv("RECEIVER_BUFFER_URL", nats_url)
    settings.setenv("RECEIVER_BUFFER_MONITOR_URLS", nats_monitor_url)
    settings.setenv("RECEIVER_BUFFER_STREAM", f"doctor-{uuid4().hex}")
    found = await asyncio.to_thread(examine, "buffer")
    assert "docs/durability.md" in found.of("buffer", "fault")
    settings.setenv("RECEIVER_BUFFER_UNSAFE", "true")
    assert "may be lost" in (await asyncio.to_thread(examine, "features")).of("features", "fault")


@pytest.fixture
def other_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        yield url


async def test_a_service_with_other_secrets_or_another_database_is_named(
    settings: pytest.MonkeyPatch, other_url: str
) -> None:
    settings.setattr("app.services.doctor.of_outside._STORED_WITHIN_SECONDS", 0.5)
    async with service(database_url=other_url) as address:
        settings.setenv("RECEIVER_PUBLIC_URL", address)
        found = await asyncio.to_thread(examine, "public-url")
        assert "is not in this database" in found.of("public-url", "fault")
        settings.setenv("RECEIVER_CALLBACK_SECRETS", OTHER_SECRET)
        found = await asyncio.to_thread(examine, "public-url")
        assert "other RECEIVER_CALLBACK_SECRETS" in found.of("public-url", "fault")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 301 M\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n", "to https:"),
        (b"HTTP/1.1 404 N\r\nServer: nginx\r\nContent-Length: 0\r\n", "404 by nginx"),
        (b"HTTP/1.1 502 B\r\nContent-Length: 0\r\n", "upstream"),
        (b"HTTP/1.1 401 U\r\nContent-Length: 0\r\n", "without one"),
        (b"HTTP/1.1 599 ?\r\nContent-Length: 0\r\n", "not this service"),
        (b"HTTP/1.1 200 K\r\nContent-Length: 2\r\n\r\n[]", "not this service"),
        (b"SSH-2.0-x\r\n", "no answer"),
    ],
)
async def test_a_proxy_that_does_not_forward_is_named(
    settings: pytest.MonkeyPatch, answer: bytes, text: str
) -> None:
    async with _answering(answer + b"\r\n") as port:
        settings.setenv("RECEIVER_PUBLIC_URL", f"http://127.0.0.1:{port}")
        found = await asyncio.to_thread(examine, "public-url")
    assert text in found.of("public-url", "fault")


@pytest.fixture
def own_tls(tmp_path: Path) -> ssl.SSLContext:
    """With a certificate that no authority has signed."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(  # noqa: S603 (our own arguments)
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",  # noqa: S607 (found in the path)
         "-nodes", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_trusts_is_named(
    settings: pytest.MonkeyPatch, own_tls: ssl.SSLContext
) -> None:
    async with _answering(b"", tls=own_tls) as port:
        settings.setenv("RECEIVER_PUBLIC_URL", f"https://localhost:{port}")
        found = await asyncio.to_thread(examine, "public-url")
    assert "self-signed certificate" in found.of("public-url", "fault")


@asynccontextmanager
async def _answering(answer: bytes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers every request like that."""

    async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(_serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _execute(url: str, *statements: str) -> None:
    connection = await connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def _until(url: str, question: str, answer: str) -> None:
    """Until a new session sees *answer*: a server reads its configuration in its own time."""
    while True:
        connection = await connect(url)
        found = await connection.fetchval(question)
        await connection.close()
        if found == answer:
            return
        await asyncio.sleep(0.02)
