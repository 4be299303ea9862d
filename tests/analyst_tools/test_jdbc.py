"""PostgreSQL's JDBC driver, as DBeaver, DataGrip, Tableau and Java programs use it."""

from pathlib import Path
from typing import Final

import pytest

from tests.analyst_tools.conftest import VIEWS, Login, Note, asked
from tests.analyst_tools.scene import CAMPAIGNS
from tests.analyst_tools.tools import PROGRAMS, fetched
from tests.clients.workshop import environment_of_programs, run_commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_VERSION: Final = "42.7.8"
_JAR: Final = f"postgresql-{_VERSION}.jar"
_FETCH: Final = (
    "mvn -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
    f" -Dartifact=org.postgresql:postgresql:{_VERSION} -DoutputDirectory=."
)


async def test_jdbc(login: Login, note: Note, tmp_path: Path) -> None:
    jar = fetched("jdbc", [_FETCH], needs=("java", "mvn"), file=_JAR) / _JAR
    said = run_commands(
        [f"java -cp {jar} {PROGRAMS / 'Listing.java'}"],
        folder=tmp_path,
        environment=environment_of_programs() | login.environment,
    )
    listed = dict(line.split(" ", 1) for line in said.splitlines())
    system = {"information_schema", "pg_catalog"}
    # PostgreSQL shows the names of all schemas, and lets everyone use the empty public.
    assert set(listed["schemas"].split()) == system | {"bi_v1", "public", "receiver"}
    assert set(listed["privileged"].split()) == system | {"bi_v1", "public"}
    assert listed["views"] == f"bi_v1 {VIEWS}"
    assert listed["rows"] == str(sum(made.messages for made in CAMPAIGNS))
    price = await asked(login, "SELECT price FROM campaigns WHERE campaign_name = 'Πάσχα'")
    assert listed["campaign"] == f"300 {price}"
    note("JDBC", _VERSION, "listed the views of bi_v1 and nothing else, read one by a cursor")
