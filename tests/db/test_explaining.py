"""What a person reads when PostgreSQL cannot be used, of real servers that cannot."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from app.db.connecting import connect
from app.db.database import Database, migrate_database
from app.db.engine import SEARCH_PATH
from app.db.explaining import sentence_of, where_of
from app.errors import DatabaseUnavailable, DatabaseUnusable
from app.sandbox.processes import eventually

_PASSWORD = "kept-to-ourselves"
_PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
_POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
_OPENSSL = shutil.which("openssl")


async def _refusal(url: str, *, seconds: float = 10.0, **options: object) -> str:
    with pytest.raises(DatabaseUnavailable) as raised:
        await connect(url, timeout=seconds, **options)
    assert _PASSWORD not in str(raised.value)
    return str(raised.value)


def _as(url: str, role: str, **changes: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{_PASSWORD}@", **changes).geturl()


@pytest.fixture
async def role(connection: asyncpg.Connection) -> AsyncIterator[str]:
    name = f"role_{os.getpid()}"
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{_PASSWORD}'")
    yield name
    await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_what_the_server_refuses_is_said_with_host_and_role(
    url: str, role: str, connection: asyncpg.Connection
) -> None:
    host = where_of(url).hosts
    wrong = _as(url, role).replace(_PASSWORD, f"not-{_PASSWORD}")
    assert await _refusal(wrong) == (
        f"PostgreSQL at {host} refuses the password of role {role}, or has no such role (28P01)."
    )
    assert await _refusal(_as(url, role, path="/nowhere")) == (
        f"PostgreSQL at {host} has no database nowhere (3D000)."
    )
    await connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    assert f"it, the database or role {role} may have" in await _refusal(_as(url, role))
    await connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1 NOLOGIN")
    assert f"does not let role {role} log in" in await _refusal(_as(url, role))


async def test_missing_rights_are_said_with_the_role(
    url: str, role: str, connection: asyncpg.Connection
) -> None:
    with pytest.raises(DatabaseUnavailable, match=rf"{role} the rights .* \(42501\)\.$"):
        await migrate_database(_as(url, role, path="/postgres"))
    database = Database(_as(url, role), pool_items=1)
    with pytest.raises(DatabaseUnavailable, match=f"{role} has no rights on the schema receiver"):
        await database.require_schema()
    await database.close()
    name = urlsplit(url).path.removeprefix("/")
    await connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    assert f"role {role} the rights that this needs in database {name}" in await _refusal(
        _as(url, role)
    )


async def test_a_statement_that_fails_is_said_with_the_host(url: str) -> None:
    database = Database(url, pool_items=1)
    with pytest.raises(DatabaseUnavailable) as raised:
        async with database.reading() as session:
            await session.execute(text("SELECT 'quoted' FROM nowhere"))
    assert str(raised.value) == (
        f"PostgreSQL at {database.where.hosts} lacks something that this program needs: its schema "
        "has another version (42P01)."
    )
    with pytest.raises(DatabaseUnavailable, match=r"took too long \(57014\)"):
        async with database.driver() as driver:
            await driver.execute("SET statement_timeout = 1; SELECT pg_sleep(9)")
    await database.close()


async def test_a_server_that_takes_no_writes_says_so(url: str) -> None:
    database = Database(f"{url}&options=-c%20default_transaction_read_only%3Don", pool_items=1)
    with pytest.raises(DatabaseUnavailable, match=r"takes no writes .* \(25006\)"):
        async with database.writing() as session:
            await session.execute(text("CREATE TABLE t ()"))
    await database.close()


async def test_a_host_that_cannot_be_reached_says_why(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        login = f"postgresql://me:{_PASSWORD}"
        assert await _refusal(f"{login}@127.0.0.1:{port}/d") == (
            f"PostgreSQL at 127.0.0.1:{port} refuses the connection: nothing listens there."
        )
        assert "nothing listens there" in await _refusal(f"{login}@localhost:{port}/d")
        bound.listen()
        assert "does not answer in time" in await _refusal(
            f"{login}@127.0.0.1:{port}/d", seconds=0.1
        )
    assert "is not found: no address" in await _refusal(f"{login}@no-such-host.invalid/d")
    assert "its socket does not exist" in await _refusal(f"{login}@/d?host={tmp_path}")


@asynccontextmanager
async def _answering(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[int]:
    """A port that answers what it is sent first as *answer* does, and closes the connection."""

    async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        answer(writer)
        writer.close()

    async with await asyncio.start_server(_serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_starts_up_says_so() -> None:
    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
    whole = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields
    async with _answering(lambda writer: writer.write(whole)) as port:
        refusal = await _refusal(f"postgresql://me@127.0.0.1:{port}/d?sslmode=disable")
    assert "is starting up" in refusal
    assert refusal.endswith("(57P03).")


async def test_a_server_without_tls_says_so() -> None:
    async with _answering(lambda writer: writer.write(b"N")) as port:
        refusal = await _refusal(f"postgresql://me@127.0.0.1:{port}/d?sslmode=require")
    assert "takes no TLS, and sslmode asks for it" in refusal


@pytest.mark.skipif(_OPENSSL is None, reason="openssl is not installed")
async def test_a_certificate_that_is_not_accepted_says_so(tmp_path: Path) -> None:
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=db -keyout key.pem -out cert.pem"
    subprocess.run([str(_OPENSSL), *request.split()], cwd=tmp_path, check=True, capture_output=True)  # noqa: ASYNC221, S603 (a second; ours)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        with suppress(ssl.SSLError, OSError):
            await writer.start_tls(context)
        writer.transport.abort()

    async with await asyncio.start_server(_serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://me@127.0.0.1:{port}/d?sslmode=verify-full"
        refusal = await _refusal(f"{url}&sslrootcert={tmp_path}/cert.pem")
    assert "has a certificate that is not accepted: IP address mismatch" in refusal
    assert "sslmode=verify-full needs sslrootcert" in await _refusal(url)


def test_tls_that_is_required_is_said() -> None:
    error = asyncpg.InvalidAuthorizationSpecificationError(
        'no pg_hba.conf entry for host "10.0.0.1", user "me", database "d", no encryption'
    )
    assert sentence_of(error, where_of("postgresql://me:p@db:1/d")) == (
        "PostgreSQL at db:1 does not let role me log in without TLS; set sslmode=require or "
        "stricter (28000)."
    )


@asynccontextmanager
async def _process(command: list[str], folder: Path, port: int) -> AsyncIterator[None]:
    """A server of *folder*, as its owner, until the block ends."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: ASYNC220, S603 (returns at once; ours)
            command, stdout=log, stderr=log, cwd=folder, **_account_of(folder)
        )

        async def _listens() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            await eventually(_listens)
            yield
        finally:
            process.terminate()
            process.wait()


def _folder_for(server_url: str, folder: Path) -> Path:
    """*folder*, made for the account that runs the server of the tests: root may run none."""
    folder.mkdir()
    owner = Path(parse_qs(urlsplit(server_url).query)["host"][0]).stat()
    top = Path(tempfile.gettempdir())
    for path in (folder, *(parent for parent in folder.parents if top in parent.parents)):
        path.chmod(0o755)
    os.chown(folder, owner.st_uid, owner.st_gid)
    return folder


def _account_of(folder: Path) -> dict[str, int]:
    owner = folder.stat()
    return {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.mark.skipif(_PGBOUNCER is None, reason="pgbouncer is not installed")
@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("ignored", [False, True])
async def test_pgbouncer_is_refused_by_name(
    url: str, tmp_path: Path, mode: str, *, ignored: bool
) -> None:
    parts = urlsplit(url)
    at = {name: values[0] for name, values in parse_qs(parts.query).items()}
    folder = _folder_for(url, tmp_path / "pooler")
    port, name = _free_port(), parts.path.removeprefix("/")
    names = "jit,search_path,statement_timeout,synchronous_commit,client_min_messages"
    (folder / "it.ini").write_text(
        f"[databases]\n{name} = host={at['host']} port={at['port']} user={parts.username} "
        f"password={parts.password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        + (f"ignore_startup_parameters = {names}\n" if ignored else "")
    )
    async with _process([str(_PGBOUNCER), "it.ini"], folder, port):
        pooled = f"postgresql://me:{_PASSWORD}@127.0.0.1:{port}/{name}"
        refusal = await _refusal(pooled, server_settings=SEARCH_PATH)
        with pytest.raises(DatabaseUnavailable, match="PgBouncer"):
            await migrate_database(pooled)
    assert f"PostgreSQL at 127.0.0.1:{port} is reached through a pooler" in refusal
    assert "PgBouncer" in refusal


@pytest.mark.skipif(not _POSTGRES_15.exists(), reason="PostgreSQL 15 is not installed")
async def test_a_server_that_is_too_old_is_refused_before_anything_else(
    server_url: str, tmp_path: Path
) -> None:
    folder = _folder_for(server_url, tmp_path / "old")
    initdb = [str(_POSTGRES_15 / "initdb"), "-D", "data", "-A", "trust", "-U", "me", "-N"]
    subprocess.run(initdb, cwd=folder, check=True, capture_output=True, **_account_of(folder))  # type: ignore[call-overload]  # noqa: ASYNC221, S603 (seconds; ours)
    port = _free_port()
    command = [str(_POSTGRES_15 / "postgres"), "-D", "data", "-p", str(port), "-k", ""]
    async with _process(command, folder, port):
        old = f"postgresql://me:{_PASSWORD}@127.0.0.1:{port}/postgres"
        with pytest.raises(DatabaseUnusable, match=r"is PostgreSQL 15\.\d+, and .* needs 18"):
            await migrate_database(old)


def test_a_database_is_named_without_its_password() -> None:
    where = where_of(f"postgresql://me%40x:{_PASSWORD}@h1:1,h2/d%20b")
    assert where == ("h1:1,h2:5432", "me@x", "d b")
