"""Who sees telephone numbers in the views, and who their last three digits."""

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from app.db.bi.roll_up_statement import roll_up
from app.db.ingest import append_events, append_inbound
from app.domain.masking import mask_number
from tests.db.bi.story import make_campaigns, story
from tests.db.feed.feed_stage import reply

pytestmark = pytest.mark.usefixtures("roles")

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


#: As Routee, Viber or a person may spell one number.
_SPELLINGS = (
    "+306900000123",
    "00306900000123",
    "6900000123",
    "+30 690 000 0123",
    "(690) 000-0123",
    "+30\u00a0690\u00a0000\u00a00123",
    "\u202a+30690\u200e0000123",
    "(30) \u2013 690 \u2013 0000123",
    "\u0663\u0660\u0666\u0669\u0660\u06600000123",
)
#: Everything of a text type that holds neither an id nor a word of ours.
_PLANT = """
UPDATE events SET (recipient, provider_status, detailed_status, description, sender, country, label)
    = ROW($1, 'refused ' || $1, $1, 'refused ' || $1 || ', tried again', $1, $1, $1 || '!');
UPDATE messages SET (recipient, provider_status, detailed_status, description, sender, country,
    label) = ROW($1, 'refused ' || $1,
        CASE WHEN message_tracking_id < 'm5' THEN 'Opted Out' ELSE $1 END,
        'refused ' || $1 || ', tried again', $1, $1, $1 || '!');
UPDATE inbound_messages SET (sender, message, recipient, label, media, filename, campaign_name)
    = ROW($1, 'Call me: ' || $1 || '!', $1, $1, $1, $1, $1);
UPDATE campaigns SET (name, label, answer, request) = ROW(tracking_id || ' of ' || $1, $1,
    convert_to('{"senderInfoName": "' || $1 || '"}', 'UTF8'),
    convert_to('{"to": ["a ' || $1 || '"], "body": {"text": "Call ' || $1 || '"}}', 'UTF8'));
INSERT INTO quarantine (sha256, reason, path, body, campaign_id)
    SELECT 'x', 'not-json', '/', '', id FROM campaigns WHERE tracking_id = 'known';
INSERT INTO campaign_progress (ordered_at, identity, campaign_tracking_id, status)
    SELECT now(), uuid_send(id), tracking_id, 'paused by ' || $1 FROM campaigns
    WHERE tracking_id IS NOT NULL
"""
_TEXTS = """
SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'bi_v1'::regnamespace AND a.atttypid = 'text'::regtype
    AND NOT a.attname ~ 'tracking_id'
    AND a.attname NOT IN (
        'status', 'source', 'submission', 'billing', 'campaign_id', 'recipient_key', 'currency',
        'kind', 'opted_out_by', 'reason'
    )
GROUP BY c.relname
"""


async def _plant(connection: asyncpg.Connection, spelling: str) -> None:
    for statement in _PLANT.split(";\n"):
        await connection.execute(statement.replace("$1", f"'{spelling}'"))


async def _texts(connection: asyncpg.Connection) -> dict[str, set[str]]:
    """What the current role sees in each column that can hold any text."""
    shown: dict[str, set[str]] = {}
    for view, columns in await connection.fetch(_TEXTS):
        query = f"SELECT {columns} FROM bi_v1.{view}"  # noqa: S608
        for row in await connection.fetch(query):
            for column, value in row.items():
                shown.setdefault(f"{view}.{column}", set()).add(value or "")
    return shown


@pytest.mark.parametrize("first", ["SELECT 1", roll_up(100_000)], ids=["pending", "rolled up"])
@pytest.mark.parametrize("spelling", _SPELLINGS)
async def test_a_number_in_any_text_is_masked_but_for_readers_of_numbers(
    connection: asyncpg.Connection, analyst: str, spelling: str, first: str
) -> None:
    await _plant(connection, spelling)
    await connection.execute("UPDATE bi_settings SET mask_labels = true")
    await connection.execute(first)
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    for column, values in (await _texts(connection)).items():
        digits = {re.sub(r"\D", "", value) for value in values}
        assert all(len(it) < 7 for it in digits), column
        assert any(value.rstrip("!").endswith(("123", "again")) for value in values), column
    await connection.execute("RESET ROLE")
    await connection.execute(f"GRANT bi_reader_pii TO {analyst}")
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    for column, values in (await _texts(connection)).items():
        assert any(spelling in value for value in values), column


#: What the company writes itself, and filters by.
_CHOSEN = {"label", "sender", "campaign_label", "campaign_name"}


async def test_what_the_company_chose_is_shown_as_it_is_and_what_callbacks_say_is_masked(
    connection: asyncpg.Connection, analyst: str
) -> None:
    spelling = "+30 690 000 0123"
    await _plant(connection, spelling)
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    for column, values in (await _texts(connection)).items():
        is_chosen = column.partition(".")[2] in _CHOSEN
        assert any(spelling in value for value in values) is is_chosen, column


async def _counted(connection: asyncpg.Connection, column: str) -> dict[str, int]:
    """How many different values *column* has in each view that has it."""
    found = {}
    for view in (*_COLUMNS, "recipients_awaited"):
        shown = _COLUMNS.get(view, "recipient") if column == "number" else column
        query = f"SELECT count(DISTINCT {shown}) FROM bi_v1.{view}"  # noqa: S608
        found[view] = await connection.fetchval(query)
    return found


#: Different numbers with the same last three digits, of one recipient each.
_ALIKE = """
UPDATE messages SET detailed_status = 'Opted Out', recipient =
    '+3069' || translate(right(md5(message_tracking_id), 4), 'abcdef', '012345') || '473';
UPDATE events AS e SET recipient = m.recipient FROM messages AS m
    WHERE m.message_tracking_id = e.message_tracking_id;
UPDATE inbound_messages SET sender = (SELECT min(recipient) FROM messages);
UPDATE campaigns SET
    request = '{"to": ["+306900001473", "00306900002473", "x473", "+306900001473"]}'
    WHERE tracking_id = 'known'
"""


async def test_masked_recipients_are_told_apart_by_their_keys(
    connection: asyncpg.Connection, analyst: str
) -> None:
    for statement in _ALIKE.split(";\n"):
        await connection.execute(statement)
    await connection.execute(f"GRANT bi_reader_pii TO {analyst}")
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    people = await _counted(connection, "number")
    assert await _counted(connection, "recipient_key") == people
    assert people["messages"] > 20
    assert people["recipients_awaited"] == 3
    await connection.execute("RESET ROLE")
    await connection.execute(f"REVOKE bi_reader_pii FROM {analyst}")
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    assert set((await _counted(connection, "number")).values()) == {1}
    assert await _counted(connection, "recipient_key") == people


async def test_one_person_has_one_key_in_all_views_whoever_asks(
    connection: asyncpg.Connection, analyst: str
) -> None:
    await connection.execute("UPDATE inbound_messages SET sender = '+306900000007'")
    query = """
        SELECT recipient_key FROM bi_v1.inbound_messages
        UNION SELECT recipient_key FROM bi_v1.messages WHERE message_tracking_id = 'm7'
        UNION SELECT recipient_key FROM bi_v1.message_events WHERE message_tracking_id = 'm7'
        UNION SELECT recipient_key FROM bi_v1.recipients_opted_out AS o
        WHERE o.recipient_key IN (SELECT i.recipient_key FROM bi_v1.inbound_messages AS i)
    """
    [key] = await connection.fetch(query)
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    assert await connection.fetch(query) == [key]
    assert len(key[0]) == 32


async def test_a_key_is_another_one_once_the_recipient_is_erased_or_the_secret_is_another(
    connection: asyncpg.Connection,
) -> None:
    await append_events(connection, story(await make_campaigns(connection), 1))
    query = "SELECT recipient_key FROM bi_v1.messages WHERE message_tracking_id = 'm7'"
    keys = [await connection.fetchval(query)]
    await connection.execute("UPDATE messages SET recipient = 'erased:0123456789'")
    keys.append(await connection.fetchval(query))
    await connection.execute("UPDATE bi_settings SET recipient_secret = 'another'")
    keys.append(await connection.fetchval(query))
    assert len(set(keys)) == 3


async def test_reasons_that_differ_by_a_number_only_are_one_where_it_is_masked(
    connection: asyncpg.Connection, analyst: str
) -> None:
    await connection.execute("""
        UPDATE messages SET campaign_id = NULL, campaign_tracking_id = 'known',
            status = 'FAILED', detailed_status = 'x',
            description = 'refused +3069' || right(recipient, 5) || '123'
        WHERE status_rank = 3
    """)
    reasons = """
        SELECT description, messages, share FROM bi_v1.failure_reasons
        WHERE detailed_status = 'x'
    """
    whole = await connection.fetch(reasons)
    assert len(whole) > 1
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    messages = sum(row["messages"] for row in whole)
    assert [tuple(row.values()) for row in await connection.fetch(reasons)] == [
        ("refused ***123", messages, 1)
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("refused +306900000123", "refused ***123"),
        ("6900000123, 6900000124", "***123, ***124"),
        ("00 30 690 000 0123 called", "***123 called"),
        ("spring-2026", "spring-2026"),
        ("2026-03-30", "2026-03-30"),
        ("20260330", "20260330"),
        ("of 2026-03-30 10:15, +306900000123", "of 2026-03-30 10:15, ***123"),
        ("123456", "123456"),
        ("1234567890123456789", "***789"),
        ("Error 1 of 2", "Error 1 of 2"),
        ("", ""),
        (None, None),
    ],
)
async def test_what_looks_like_a_number_is_masked_and_what_does_not_is_not(
    connection: asyncpg.Connection, analyst: str, text: str | None, shown: str | None
) -> None:
    await connection.execute(f"SET LOCAL ROLE {analyst}")
    assert await connection.fetchval("SELECT bi_v1.shown_text($1)", text) == shown
