"""The SQL of the pages fits the database."""

import re
from typing import Final

import asyncpg
import pytest

from tests.docs.pages import PAGES, blocks_of, name_of

STATEMENTS: Final = [
    pytest.param(statement, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, statement in enumerate(blocks_of(page, "sql"), 1)
]
_CURSOR: Final = "'v1-1-1-1'"
#: A setting of psql, `:'cursor'`, which stands for a text.
_PSQL_VARIABLE: Final = re.compile(r":'\w+'")


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_each_statement_of_the_pages_can_be_planned(
    connection: asyncpg.Connection, statement: str
) -> None:
    plan = await connection.fetch(f"EXPLAIN {_PSQL_VARIABLE.sub(_CURSOR, statement)}")
    assert plan
