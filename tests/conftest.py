"""A real PostgreSQL for the whole run, and a database of its own for each test that needs one."""

import asyncio
import gc
import logging
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
import structlog
from hypothesis import settings

from app.db.engine import make_engine
from app.db.schema import migrate
from app.embedded import EmbeddedPostgres
from app.sandbox.nats_servers import NatsCluster
from tests.database import connect

_TEMPLATE = "receiver_template"
_ENOUGH_BYTES = 2_000_000_000


def database_url(server_url: str, name: str) -> str:
    """The URL of database *name* on the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


async def _make_template(server_url: str) -> None:
    await _execute(server_url, f"CREATE DATABASE {_TEMPLATE}")
    engine = make_engine(
        database_url(server_url, _TEMPLATE),
        name="tests",
        pool_items=1,
        statement_timeout_seconds=60,
    )
    await migrate(engine)
    await engine.dispose()


#: What must not appear in any log line of the whole run.
_SECRETS = {
    "an API key": re.compile(r"\brr_[A-Za-z0-9_-]{43}\b"),
    "a callback token": re.compile(r"callbacks/(?!\*\*\*)[A-Za-z0-9_~.-]{32,}/"),
    "the token of a campaign": re.compile(
        r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{64}"
    ),
    "an authorization header": re.compile(
        r"(?i)authorization['\"]?[:=] ?['\"]?(?:basic|bearer) \S+"
    ),
    "a telephone number": re.compile(r"\+\d{9,15}\b"),
}
_leaks: list[str] = []


# No test may depend on how fast the machine is.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_configure() -> None:
    """Log as the service does, whose tracebacks show no locals and whose clients log no URLs."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            renderer,
        ]
    )
    for chatty in ("httpx", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exempt thousands of tests from collections of garbage: these took a tenth of the time."""
    collected = yield
    gc.freeze()
    return collected


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes that are no text by their length: a gzip file contains the time it was made."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return f"{argname}-{len(val)}-bytes"
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Search what each passing test has logged: no secret leaves, in the whole suite."""
    if not report.passed:
        return  # a failing assertion shows what it compared
    logged = "".join(text for title, text in report.sections if "log" in title or "std" in title)
    _leaks.extend(
        f"{report.nodeid} logged {secret}"
        for secret, spelling in _SECRETS.items()
        if spelling.search(logged)
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A leak fails the run."""
    if _leaks and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the leaks."""
    for leak in _leaks:
        terminalreporter.write_line(f"LEAK {leak}")


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the person who runs the tests."""
    for name in os.environ:
        if name.startswith("RECEIVER_"):
            monkeypatch.delenv(name)


def roomy_memory() -> Path | None:
    """A file system in memory if there is room: cloning a database there takes a tenth."""
    memory = Path("/dev/shm")  # noqa: S108 (with a folder of our own, mode 0700, in it)
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH_BYTES
    return memory if roomy else None


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a running PostgreSQL 18 that ends with the tests."""
    folder = Path(tempfile.mkdtemp(prefix="rr-tests-", dir=roomy_memory()))
    server = EmbeddedPostgres(folder / "var")
    url = asyncio.run(server.acquire())
    try:
        asyncio.run(_make_template(url))
        yield url
    finally:
        asyncio.run(server.release())
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database with the current schema, dropped at the end."""
    name = f"test_{uuid4().hex}"
    asyncio.run(
        _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    )
    try:
        yield database_url(server_url, name)
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    """The URL of a database of this test's own."""
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database of this test."""
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def _nats() -> Iterator[NatsCluster]:
    with tempfile.TemporaryDirectory(prefix="rr-nats-", dir=roomy_memory()) as folder:
        cluster = NatsCluster(Path(folder), nodes=1, sync_always=False)
        try:
            asyncio.run(cluster.start())
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def nats_url(_nats: NatsCluster) -> str:
    """The URL of a single NATS server that ends with the tests, and is not durable."""
    return _nats.url


@pytest.fixture
def nats_monitor_url(_nats: NatsCluster) -> str:
    """The URL of the monitoring of the same server."""
    return _nats.monitor_urls
