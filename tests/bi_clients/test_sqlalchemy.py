"""As Superset, which looks around with SQLAlchemy's inspector."""

from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest
from sqlalchemy import Connection, MetaData, Table, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

SCHEMA = "bi_v1"


@pytest.fixture
async def session(analyst_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=partial(asyncpg.connect, analyst_url)
    )
    async with engine.connect() as session:
        yield session
    await engine.dispose()


def _undescribed(connection: Connection) -> list[str]:
    """Views and columns without a comment."""
    inspector = inspect(connection)
    found = []
    for view in inspector.get_view_names(SCHEMA):
        if not inspector.get_table_comment(view, SCHEMA)["text"]:
            found.append(view)
        columns = inspector.get_columns(view, SCHEMA)
        found += [f"{view}.{column['name']}" for column in columns if not column["comment"]]
    return found


async def test_views_and_columns_are_found_with_their_comments(session: AsyncConnection) -> None:
    names = await session.run_sync(lambda it: inspect(it).get_view_names(SCHEMA))
    assert {"campaigns", "messages", "failure_reasons"} <= set(names)
    assert await session.run_sync(_undescribed) == []


async def test_the_schema_of_the_views_is_the_default_one(session: AsyncConnection) -> None:
    assert await session.run_sync(lambda it: inspect(it).default_schema_name) == SCHEMA


async def test_a_reflected_view_is_read(session: AsyncConnection) -> None:
    table = await session.run_sync(
        lambda it: Table("campaigns", MetaData(), schema=SCHEMA, autoload_with=it)
    )
    rows = (await session.execute(select(table.c.campaign_name, table.c.delivered_or_seen))).all()
    assert [tuple(row) for row in rows] == [("Πάσχα", 2)]
