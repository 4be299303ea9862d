"""A database with campaigns, a login for analysts, and the table of what each program did."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import pytest

from app.db.bi.login import BiLogin
from app.db.bi.users import create_bi_login
from app.db.database import Database, migrate_database
from app.embedded import EmbeddedPostgres
from app.kit.scram import make_verifier
from tests.analyst_tools.scene import make_scene
from tests.database import connect
from tests.docs.pages import ROOT
from tests.promises.stage import free_port

HOST: Final = "127.0.0.1"
_PASSWORD: Final = "of/an analyst"
#: A server for many people opens as many at once as a dashboard has charts.
_MAX_CONNECTIONS: Final = 30


#: How many views `bi_v1` has.
VIEWS: Final = len(json.loads((ROOT / "tests" / "db" / "bi" / "bi_v1.json").read_text()))


class Login(NamedTuple):
    """What an analyst is given: the numbers in what the views show are masked."""

    port: int
    user: str = "tester"
    password: str = _PASSWORD
    database: str = "receiver"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of libpq."""
        return {
            "PGHOST": HOST,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }


async def asked(login: Login, query: str) -> Any:  # noqa: ANN401 (any value)
    """The one value that *query* gives to *login*."""
    session = await asyncpg.connect(
        host=HOST,
        port=login.port,
        user=login.user,
        password=login.password,
        database=login.database,
    )
    try:
        return await session.fetchval(query)
    finally:
        await session.close()


async def _make(url: str, login: Login) -> None:
    await migrate_database(url)
    connection = await connect(url)
    await make_scene(connection)
    await connection.close()
    database = Database(url, name="tests", pool_items=1)
    verifier = make_verifier(login.password)
    await create_bi_login(
        database,
        BiLogin(login.user, verifier, pii=False, max_seconds=60, max_connections=_MAX_CONNECTIONS),
    )
    await database.close()


@pytest.fixture(scope="session")
def login() -> Iterator[Login]:
    """A login to a database of the service that listens on TCP."""
    login = Login(free_port())
    with tempfile.TemporaryDirectory(prefix="analyst-tools-") as folder:
        server = EmbeddedPostgres(Path(folder) / "var", port=login.port)
        url = asyncio.run(server.acquire())
        try:
            asyncio.run(_make(url, login))
            yield login
        finally:
            asyncio.run(server.release())


_ROWS = pytest.StashKey[list[tuple[str, str, str]]]()
Note = Callable[[str, str, str], None]


@pytest.fixture(scope="session")
def note(pytestconfig: pytest.Config) -> Note:
    """Adds a line to the table that is printed at the end: program, version, what it did."""
    rows = pytestconfig.stash.setdefault(_ROWS, [])

    def _note(program: str, version: str, did: str) -> None:
        rows.append((program, version, did))

    return _note


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(_ROWS, [])
    if not rows:
        return
    terminalreporter.section("what analysts' programs did with the views")
    for program, version, did in rows:
        terminalreporter.line(f"{program:12} {version:9} {did}")
