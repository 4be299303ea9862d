"""dbt with sources on the views, in a warehouse of its own: as docs/analysts.md says."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.analyst_tools.conftest import HOST, Login, Note, asked
from tests.analyst_tools.tools import PythonTool
from tests.analyst_tools.warehouse import running_warehouse
from tests.clients.workshop import Failed
from tests.docs.pages import ROOT, blocks_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: A later one fetches a part of itself from elsewhere than PyPI.
DBT: Final = PythonTool("dbt", ("dbt-core==1.11.16", "dbt-postgres==1.11.0"))
_PROJECT: Final = Path(__file__).with_name("dbt")
[_FOREIGN_TABLES] = [
    block
    for block in blocks_of(ROOT / "docs" / "analysts.md", "text")
    if "CREATE EXTENSION postgres_fdw" in block
]


@pytest.fixture(scope="module")
def warehouse_port() -> Iterator[int]:
    with running_warehouse() as port:
        yield port


def _build(folder: Path, login: Login, port: int, options: str = "") -> str:
    shutil.copytree(_PROJECT, folder, dirs_exist_ok=True)
    return DBT.run(
        [f"dbt --no-version-check --no-use-colors build --profiles-dir . {options}"],
        folder,
        login.environment | {"WAREHOUSE_PORT": str(port)},
    )


async def test_dbt_builds_models_from_foreign_tables(
    login: Login, warehouse_port: int, note: Note, tmp_path: Path
) -> None:
    DBT.fetch()
    statements = (
        _FOREIGN_TABLES.replace(
            "host 'db.example', port '5432'", f"host '{HOST}', port '{login.port}'"
        )
        .replace("user 'dbt'", f"user '{login.user}'")
        .replace("'…'", f"'{login.password}'")
    )
    warehouse = await asyncpg.connect(
        host=HOST, port=warehouse_port, user="warehouse", database="postgres"
    )
    try:
        await warehouse.execute(statements)
        _build(tmp_path, login, warehouse_port)
        expected = await asked(
            login,
            "SELECT (count(*), sum(price), count(DISTINCT recipient_key))::text FROM messages",
        )
        counted = (
            "SELECT (count(*), sum(price), count(DISTINCT recipient_key))::text FROM marts.messages"
        )
        assert await warehouse.fetchval(counted) == expected
        _build(tmp_path, login, warehouse_port)
        assert await warehouse.fetchval(counted) == expected
        labels = await warehouse.fetch("SELECT campaign_label, messages FROM marts.labels")
        assert {row[0]: row[1] for row in labels}["spring"] == 720
    finally:
        await warehouse.close()
    note("dbt", DBT.version, "two models from foreign tables, built twice, one incrementally")


def test_dbt_makes_nothing_in_the_database_of_the_service(
    login: Login, note: Note, tmp_path: Path
) -> None:
    DBT.fetch()
    with pytest.raises(Failed, match="read-only transaction"):
        _build(tmp_path, login, 0, "--target service")
    note("dbt", DBT.version, "in the service's own database: refused, as it must be")
