"""Who sees telephone numbers in the views, and who their last three digits."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from app.db.ingest import append_events, append_inbound
from app.domain.masking import mask_number
from tests.db.bi.story import make_campaigns, story
from tests.db.feed_stage import reply

_COLUMNS = {
    "messages": "recipient",
    "message_events": "recipient",
    "recipients_opted_out": "recipient",
    "inbound_messages": "replied_by",
}


@pytest.fixture
async def analyst(connection: asyncpg.Connection) -> AsyncIterator[str]:
    """A role that is a member of bi_reader, within a transaction that is taken back."""
    events = story(await make_campaigns(connection), 1)
    await append_events(connection, [it._replace(detailed_status="Opted Out") for it in events])
    await append_inbound(connection, [reply(campaign="known")])
    transaction = connection.transaction()
    await transaction.start()
    name = f"analyst_{uuid4().hex}"
    await connection.execute(f"CREATE ROLE {name} IN ROLE bi_reader")
    yield name
    await transaction.rollback()


async def _shown(connection: asyncpg.Connection, role: str) -> set[str]:
    await connection.execute(f"SET LOCAL ROLE {role}")
    shown: set[str] = set()
    for view, column in _COLUMNS.items():
        rows = await connection.fetch(f"SELECT {column} FROM bi_v1.{view}")  # noqa: S608
        assert rows
        shown |= {row[0] for row in rows}
    await connection.execute("RESET ROLE")
    return shown


async def _numbers(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "SELECT recipient FROM messages UNION SELECT sender FROM inbound_messages"
    )
    return {row[0] for row in rows}


async def test_an_analyst_sees_the_last_three_digits(
    connection: asyncpg.Connection, analyst: str
) -> None:
    numbers = await _numbers(connection)
    assert await _shown(connection, analyst) == set(map(mask_number, numbers))


async def test_a_reader_of_numbers_sees_them(connection: asyncpg.Connection, analyst: str) -> None:
    await connection.execute(f"GRANT bi_reader_pii TO {analyst}")
    assert await _shown(connection, analyst) == await _numbers(connection)


async def test_numbers_are_masked_where_the_roles_do_not_exist(
    connection: asyncpg.Connection, analyst: str
) -> None:
    await connection.execute(f"GRANT bi_reader_pii TO {analyst}")
    await connection.execute("ALTER ROLE bi_reader_pii RENAME TO renamed_for_a_moment")
    assert await _shown(connection, analyst) == set(map(mask_number, await _numbers(connection)))


async def test_one_number_is_shown_as_the_domain_masks_it(
    connection: asyncpg.Connection, analyst: str
) -> None:
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    for number in ("+306912345678", "1234", "123", "", "é"):
        shown = await connection.fetchval("SELECT bi_v1.shown_number($1)", number)
        assert shown == mask_number(number)
    assert await connection.fetchval("SELECT bi_v1.shown_number(NULL)") is None
