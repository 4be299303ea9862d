"""Events that were stored before they were packed are told as before, there and back."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection

from app.db.bi_access import grant_bi_access
from app.db.bi_address import address
from app.db.database import migrate_database
from app.db.embedded import EmbeddedPostgres
from app.db.engine import make_engine
from app.db.forms import Forms
from app.db.ingest import append_events
from app.db.message_keys import tracking_id_of
from app.db.payloads import compressed, opened
from app.db.schema import configured, needed_version
from app.domain.feed import Position
from app.errors import SchemaOutdated
from tests.conftest import database_url
from tests.db.bi_stage import connected
from tests.db.feed_stage import START, Reader, event, feed_database

BEFORE = "0009"
OURS = UUID(int=7)

IDS = (
    "0a047b46-a4dd-4ca8-b817-a6a134dd1234",
    "0A047B46-A4DD-4CA8-B817-A6A134DD1234",
    "0a047b46a4dd4ca8b817a6a134dd1234",
    "{0a047b46-a4dd-4ca8-b817-a6a134dd1234}",
    "0a047b46-a4dd-4ca8-b817-a6a134dd1234\n",
    "00000000-0000-0000-0000-000000000000",
    "",
    "0",
    "m" * 14,
    "m" * 15,
    "m" * 16,
    "m" * 17,
    "é" * 7 + "m",
    "μήνυμα-Ω",
    "\U0001f4e9",
    "x" * 512,
)
TIMES = (
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2010, 5, 1, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 3, 7, 12, tzinfo=UTC),
    datetime(2032, 12, 31, 23, tzinfo=UTC),
    datetime(2033, 2, 3, tzinfo=UTC),
    datetime(2099, 1, 1, tzinfo=UTC),
)
LONG = b'{"text":"' + b"".join(b"%d," % number**9 for number in range(900)) + b'"}'
PAYLOADS = (
    (None, 0),
    (b"{}", 0),
    (b'{"trackingId": "m", "text": "\xce\xa9 \xff\x00"}', 0),
    (LONG, 0),
    compressed(b'{"trackingId": "m", "to": "+306912345678"}' * 30),
    compressed(LONG),
)

#: As the retention adds months, which were two when this was stored.
MONTHS = """
ALTER TABLE events DETACH PARTITION events_after;
CREATE TABLE events_2033_01 PARTITION OF events
    FOR VALUES FROM ('2033-01-01Z') TO ('2033-02-01Z');
CREATE TABLE events_2033_02 PARTITION OF events
    FOR VALUES FROM ('2033-02-01Z') TO ('2033-03-01Z');
ALTER TABLE events ATTACH PARTITION events_after FOR VALUES FROM ('2033-03-01Z') TO (MAXVALUE);
"""
CAMPAIGNS = """
INSERT INTO campaigns (id, tracking_id, name, submission, request, warnings) VALUES
    ('00000000-0000-0000-0000-000000000007', NULL, 'ours', 'launched', 'asked', '["w"]'),
    (uuidv7(), 'c', 'theirs', 'launched', NULL, '[]');
"""
EVENT = """
INSERT INTO events (
    message_tracking_id, status_key, occurred_at, received_at, created_at, campaign_id, source,
    status_rank, payload_reserialised, provider_status, detailed_status, description,
    campaign_tracking_id, recipient, sender, country, label, price, payload, payload_dictionary
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'Shop', $15, $16, $17, $18, $19
)
"""
#: What callbacks, the fold and the retention had made of it.
FOLLOWING = """
INSERT INTO messages (
    status_at, created_at, queued_at, delivered_at, failed_at, first_occurred_at, last_occurred_at,
    updated_at, campaign_id, status_rank, message_tracking_id, campaign_tracking_id, status,
    status_key, provider_status, detailed_status, description, recipient, sender, country, label,
    price
)
SELECT DISTINCT ON (message_tracking_id)
    occurred_at, created_at, received_at - interval '3 s', received_at,
    CASE WHEN status_rank = 3 THEN occurred_at END, occurred_at, occurred_at,
    received_at + id * interval '1 s', campaign_id, status_rank, message_tracking_id,
    campaign_tracking_id, CASE WHEN status_rank = 0 THEN 'UNKNOWN' ELSE status_key END, status_key,
    provider_status, detailed_status, description, recipient, sender, country, label, price
FROM events
ORDER BY message_tracking_id, status_rank = 3 AND length(message_tracking_id) % 2 = 0 DESC,
    status_rank DESC, id;

INSERT INTO inbound_messages (
    identity, sender, recipient, message, reference_tracking_id, campaign_tracking_id, payload
)
SELECT
    convert_to(message_tracking_id, 'UTF8'), '+306912345678', 'Shop', 'text ' || row_number()
        OVER (ORDER BY message_tracking_id), message_tracking_id, NULL, 'reply'
FROM messages;
INSERT INTO inbound_messages (identity, message, reference_tracking_id, campaign_id)
VALUES
    ('n', 'of none', 'nobody', '00000000-0000-0000-0000-000000000007'),
    ('o', 'alone', NULL, NULL);

INSERT INTO campaign_counts
SELECT campaign_tracking_id, status, count(*) + 3 FROM messages
WHERE campaign_tracking_id IS NOT NULL GROUP BY 1, 2;
INSERT INTO campaign_count_deltas (campaign_tracking_id, status, messages)
VALUES ('c', 'DELIVERED', -3), ('c', 'SENT', 2);

UPDATE bi_rollup_state SET (feed_epoch, xid, id) = (
    SELECT feed_epoch, xid, id FROM events ORDER BY 1, 2, 3 OFFSET 60 LIMIT 1
);
INSERT INTO bi_rollup_hourly (hour, identity, campaign_key, country, sender, label, status, events)
VALUES ('2026-03-07 12:00Z', uuidv7(), 'c', 'GR', 'Shop', NULL, 'SENT', 60);
INSERT INTO bi_durations VALUES
    ('c', 1, 12, 40), ('ours:00000000-0000-0000-0000-000000000007', 2, 20, 3);
INSERT INTO bi_failure_reasons VALUES (uuidv7(), 'c', 'FAILED', 'Opted Out', 'd', 4);
INSERT INTO bi_spends VALUES ('c', 1.25, 30);
INSERT INTO bi_removed_replies VALUES ('c', 5);
INSERT INTO bi_counted_messages
SELECT
    message_tracking_id, campaign_tracking_id, 12, NULL,
    CASE WHEN status_rank = 3 THEN status END, 'Opted Out', 'd', 0.035
FROM messages;
-- Of a message that is there no more.
INSERT INTO bi_counted_messages (message_tracking_id, campaign_key, price)
VALUES ('00000000-0000-0000-0000-000000000099', 'c', 0.07), ('gone', 'c', 0.07);

-- They are corrections, as it was told again.
UPDATE events SET country = 'DE', price = 0.05 WHERE occurred_at = '2026-03-07 12:00Z';
UPDATE events SET campaign_tracking_id = 'c' WHERE occurred_at = '1970-01-01Z' AND id % 2 = 0;

INSERT INTO retention_marks (name, feed_epoch, xid, id)
VALUES ('removed payloads', 1, '5', 3), ('messages', 1, '9', 40);
UPDATE feed_floor SET (feed_epoch, xid, id) = (0, '3', 1);
"""

EVENTS = """
SELECT
    id, xid, occurred_at, received_at, created_at, campaign_id, feed_epoch, source, status_rank,
    payload_dictionary, payload_reserialised, message_tracking_id, status_key, provider_status,
    detailed_status, description, campaign_tracking_id, recipient, sender, country, label, price,
    payload
FROM events
"""
MESSAGES = """
SELECT
    status_at, created_at, queued_at, sent_at, delivered_at, seen_at, failed_at, first_occurred_at,
    last_occurred_at, updated_at, campaign_id, status_rank, message_tracking_id,
    campaign_tracking_id, status, status_key, provider_status, detailed_status, description,
    recipient, sender, country, label, price
FROM messages
"""
#: Everything else that has rows.
TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition
    AND relname NOT IN ('messages', 'event_forms', 'alembic_version')
"""
VIEWS = "SELECT relname FROM pg_class WHERE relnamespace = 'bi_v1'::regnamespace AND relkind = 'v'"
#: In which partitions events are.
PLACES = "SELECT id, tableoid::regclass::text FROM {table}"

#: All that is defined in the database, but for the order of columns.
DEFINED = """
SELECT 'column', attrelid::regclass::text, concat_ws(
    ' ', attname, format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull,
    attgenerated, pg_get_expr(adbin, adrelid)
)
FROM pg_attribute
LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
WHERE attrelid IN (SELECT oid FROM ours) AND attnum > 0 AND NOT attisdropped
    -- Of a partition a default is never used.
    AND NOT (attname = 'feed_epoch' AND attrelid::regclass::text LIKE 'events\\_%')
UNION ALL
SELECT
    'relation ' || relkind::text, oid::regclass::text,
    concat_ws(' ', reloptions::text, pg_get_expr(relpartbound, oid), obj_description(oid))
FROM pg_class WHERE oid IN (SELECT oid FROM ours)
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid IN (SELECT oid FROM ours)
UNION ALL
SELECT 'constraint', conname, conrelid::regclass || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours)
UNION ALL
SELECT 'view', oid::regclass::text, pg_get_viewdef(oid)
FROM pg_class WHERE oid IN (SELECT oid FROM ours) AND relkind = 'v'
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(oid)
FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM ours)
UNION ALL
SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid) || ' ' || proacl::text
FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'bi_v1'::regnamespace)
UNION ALL
SELECT 'schema', nspname, '' FROM pg_namespace WHERE nspname !~ '^pg_'
"""
DEFINED = f"""
WITH ours AS (
    SELECT oid FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, 'bi_v1'::regnamespace) AND relkind <> 'i'
        AND relkind <> 'I'
)
{DEFINED}
"""  # noqa: S608 (made of constants)

Told = dict[str, Sequence[Any]]


async def _go(url: str, revision: str) -> None:
    """Bring the schema up or down to *revision*."""

    def _run(connection: Connection) -> None:
        config = configured(connection)
        if revision == BEFORE:
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)

    await _with(url, _run)


async def _begin(url: str) -> None:
    """Make the schema as it was before, in an empty database."""
    await _with(url, lambda connection: command.upgrade(configured(connection), BEFORE))


async def _with(url: str, work: Callable[[Connection], None]) -> None:
    engine = make_engine(url, name="tests", pool_items=1, statement_timeout_seconds=60)
    async with engine.connect() as connection:
        await connection.run_sync(work)
        await connection.commit()
    await engine.dispose()


@contextmanager
def _empty_database(server_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"

    async def _execute(statement: str) -> None:
        async with connected(server_url) as server:
            await server.execute(statement)

    asyncio.run(_execute(f"CREATE DATABASE {name}"))
    try:
        yield database_url(server_url, name)
    finally:
        asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def old_url(server_url: str) -> Iterator[str]:
    """A database of the version before, with nothing in it."""
    with _empty_database(server_url) as url:
        asyncio.run(_begin(url))
        yield url


@pytest.fixture
async def old(old_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it."""
    async with connected(old_url) as connection:
        yield connection


def _old_events() -> Iterator[tuple[Any, ...]]:
    """Each id at each time, with payloads of all kinds."""
    statuses = (("QUEUED", 1), ("SENT", 2), ("FAILED", 3), ("DELIVERED", 4), ("strange", 0))
    for of_id, message in enumerate(IDS):
        for of_time, at in enumerate(TIMES):
            number = of_id * len(TIMES) + of_time
            status, rank = statuses[number % len(statuses)]
            by_token = of_id % 4 == 1
            yield (
                message,
                status.upper(),
                at,
                START + timedelta(minutes=number),
                None if number % 3 else START,
                OURS if by_token else None,
                number % 2,
                rank,
                number % 7 == 0,
                status,
                "Opted Out" if rank == 3 else None,
                f"reason {number}" if rank == 3 else None,
                None if by_token or of_id % 4 == 2 else "c",
                None if number % 11 == 0 else f"+3069{number:08}",
                None if number % 5 == 0 else "GR",
                "spring" if number % 2 else None,
                Decimal("0.035") if number % 3 else None,
                *PAYLOADS[number % len(PAYLOADS)],
            )


async def _fill(connection: asyncpg.Connection) -> None:
    await connection.execute(MONTHS + CAMPAIGNS)
    for row in _old_events():
        await connection.execute(EVENT, *row)
    await connection.execute(FOLLOWING)


async def _told(connection: asyncpg.Connection, table: str) -> Told:
    """All that is stored, whatever it is stored as; events are rows of *table*."""
    found: Told = {
        "events": [_open(row) for row in await connection.fetch(EVENTS)],
        "messages": await connection.fetch(MESSAGES),
        "places": await connection.fetch(PLACES.format(table=table)),
    }
    for (name,) in await connection.fetch(TABLES):
        found[name] = [_named(row) for row in await connection.fetch(f"TABLE {name}")]
    for (name,) in await connection.fetch(VIEWS):
        found[f"bi_v1.{name}"] = await connection.fetch(f"TABLE bi_v1.{name}")
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


def _open(row: asyncpg.Record) -> dict[str, Any]:
    told = dict(row)
    dictionary = told.pop("payload_dictionary")
    return {**told, "payload": row["payload"] and opened(row["payload"], dictionary)}


def _named(row: asyncpg.Record) -> list[tuple[str, Any]]:
    """With the id where there is a key."""
    told = dict(row)
    if "message_key" in told:
        told["message_tracking_id"] = tracking_id_of(told.pop("message_key"))
    return sorted(told.items())


async def _defined(url: str) -> set[tuple[str, ...]]:
    async with connected(url) as connection:
        return {tuple(row) for row in await connection.fetch(DEFINED)}


async def test_whatever_was_stored_is_told_as_before(old_url: str, old: asyncpg.Connection) -> None:
    await _fill(old)
    before = await _told(old, "events")
    assert [name for name in before if name.startswith("bi_") and not before[name]] == []
    raw = "SELECT id, payload, payload_dictionary FROM events ORDER BY id"
    payloads = await old.fetch(raw)
    places = """
        SELECT feed_epoch, xid, id FROM events
        UNION ALL SELECT feed_epoch, xid, id FROM inbound_messages
        ORDER BY feed_epoch, xid, id
    """
    order = [row["id"] for row in await old.fetch(places)]

    await _go(old_url, "head")
    assert await _told(old, "packed_events") == before
    assert await old.fetch(raw) == payloads
    async with feed_database(old_url) as database:
        items = await Reader(database, after=Position(0, 3, 1)).read()
    # A repeated status is no news.
    read = [item.position.id for item in items]
    assert read == [number for number in order if number in read]
    assert len(read) > len(IDS) * 2

    # What is told again is known again, and the rest comes after it.
    now = event(IDS[0], "SEEN")
    told = [event(name, "SEEN")._replace(payload=b"%d" % at) for at, name in enumerate(IDS)]
    assert (await append_events(old, [now, *told], Forms(min_messages=1))).fresh == len(IDS)
    packed = "SELECT count(*) FROM packed_events WHERE form_id IS NOT NULL"
    assert await old.fetchval(packed) > len(IDS) / 2
    more = await _told(old, "packed_events")
    assert len(more["events"]) == len(before["events"]) + len(IDS)

    await _go(old_url, BEFORE)
    assert await _told(old, "events") == more
    await _go(old_url, "head")
    assert await _told(old, "packed_events") == more
    assert await old.fetchval(packed) == 0


async def test_up_and_down_leads_to_what_was_defined_before(old_url: str, url: str) -> None:
    before = await _defined(old_url)
    await _go(old_url, "head")
    assert await _defined(old_url) ^ await _defined(url) == set()
    await _go(old_url, BEFORE)
    assert await _defined(old_url) ^ before == set()
    await _go(old_url, "head")
    assert await _defined(old_url) ^ await _defined(url) == set()


#: Who may do what, and who may pass it on.
RIGHTS = """
SELECT role, oid::regclass::text, action
FROM unnest($1::text[]) AS role, pg_class, unnest(ARRAY[
    'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'MAINTAIN', 'SELECT WITH GRANT OPTION'
]) AS action
WHERE relnamespace IN ('public'::regnamespace, 'bi_v1'::regnamespace)
    AND relkind IN ('r', 'p', 'v') AND has_table_privilege(role, oid, action)
"""


@pytest.fixture
async def roles(old: asyncpg.Connection) -> AsyncIterator[dict[str, str]]:
    """Roles with rights of their own, by what they are."""
    suffix = uuid4().hex
    names = {name: f"{name}_{suffix}" for name in ("service", "Reporter", "auditor", "stranger")}
    for name in names.values():
        await old.execute(f"""CREATE ROLE "{name}" LOGIN PASSWORD 'plain'""")
    rights = (
        "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {service}",
        "USAGE ON ALL SEQUENCES IN SCHEMA public TO {service}",
        "SELECT ON events_2026_03, bi_v1.messages, bi_v1.campaigns TO {Reporter}",
        "SELECT ON events, messages TO {auditor} WITH GRANT OPTION",
        "TRUNCATE, MAINTAIN ON events TO {auditor}",
        "SELECT ON bi_v1.freshness, bi_event_corrections, bi_counted_messages TO PUBLIC",
        "CONNECT ON DATABASE {database} TO {stranger}",
    )
    quoted = {key: f'"{name}"' for key, name in names.items()}
    quoted["database"] = str(await old.fetchval("SELECT current_database()"))
    for right in rights:
        await old.execute(f"GRANT {right.format(**quoted)}")
    await grant_bi_access(old)
    yield names
    for name in names.values():
        await old.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


async def _rights(
    connection: asyncpg.Connection, roles: dict[str, str]
) -> set[tuple[str, str, str]]:
    rows = await connection.fetch(RIGHTS, list(roles.values()))
    return {(role, relation, action) for role, relation, action in rows}


async def test_who_had_a_right_has_it_afterwards(
    old_url: str, old: asyncpg.Connection, roles: dict[str, str]
) -> None:
    await _fill(old)
    before = await _rights(old, roles)
    await _go(old_url, "head")
    anew = {
        (role, heir, action)
        for role, relation, action in before
        for heir in ("packed_events", "event_forms")
        if relation == "events"
    }
    assert await _rights(old, roles) ^ (before | anew) == set()
    own_url = address(
        old_url, user=roles["service"], password="plain", database=urlsplit(old_url).path[1:]
    )
    async with connected(own_url) as service:
        told = [event(f"new {number}") for number in range(3)]
        assert (await append_events(service, told, Forms(min_messages=1))).fresh == 3
        twin = told[0]._replace(label="told again")
        await append_events(service, [twin])
        assert await service.fetchval("SELECT count(payload) FROM events WHERE source = 0") > 3
        assert await service.fetchval("SELECT count(*) FROM bi_unfolded_messages") > 3
    await _go(old_url, BEFORE)
    assert await _rights(old, roles) ^ before == set()


async def test_a_role_that_is_no_superuser_migrates_where_analysts_have_no_roles(
    tmp_path: Path,
) -> None:
    async with EmbeddedPostgres(tmp_path) as bare_url, connected(bare_url) as server:
        for name in ("plain", "service"):
            await server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
        await server.execute("CREATE DATABASE plain OWNER plain")
        plain_url = address(bare_url, user="plain", password="plain", database="plain")
        await _begin(plain_url)
        async with connected(plain_url) as plain:
            await plain.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO service")
            await plain.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO service")
            await _fill(plain)
            before = await _told(plain, "events")
            await migrate_database(plain_url)
            assert await _told(plain, "packed_events") == before
            own_url = address(bare_url, user="service", password="plain", database="plain")
            async with connected(own_url) as service:
                await append_events(service, [event("new")], Forms(min_messages=1))
                assert await service.fetchval("SELECT count(payload) FROM events") > 1
            after = await _told(plain, "packed_events")
            await _go(plain_url, BEFORE)
            assert await _told(plain, "events") == after
            assert (await grant_bi_access(plain))[0] == "CREATE ROLE bi_reader NOLOGIN"
        await migrate_database(plain_url)


async def test_a_callback_that_is_being_stored_is_waited_for(
    old_url: str, old: asyncpg.Connection
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
    async with old.transaction():
        await old.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")
        migration = asyncio.create_task(_go(old_url, "head"))
        while not await old.fetchval(waiting):  # noqa: ASYNC110 (PostgreSQL tells nobody)
            await asyncio.sleep(0.01)
        await old.execute("INSERT INTO inbound_messages (identity) VALUES ('n')")
        await old.execute(EVENT, *next(_old_events()))
    await migration
    assert await old.fetchval("SELECT count(*) FROM events") == 1


async def _migrated_by_a_process(url: str) -> tuple[int | None, str]:
    """Its exit code, and what a person reads."""
    migration = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("routee-receiver"),
        "migrate",
        env={**os.environ, "RECEIVER_DATABASE_URL": url},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await migration.communicate()
    return migration.returncode, said.decode()


@pytest.mark.parametrize(
    ("built", "named"),
    [
        (
            "CREATE VIEW theirs.built AS SELECT status FROM bi_v1.messages",
            "view theirs.built depends on view bi_v1.messages",
        ),
        (
            "CREATE VIEW theirs.built AS SELECT status_key FROM events",
            "view theirs.built depends on table events",
        ),
        (
            "CREATE MATERIALIZED VIEW theirs.built AS SELECT status_key FROM events_2026_03",
            "materialized view theirs.built depends on table events_2026_03",
        ),
        (
            'CREATE TABLE theirs.built (id text COLLATE "C" REFERENCES messages)',
            "constraint built_id_fkey on table theirs.built depends on table messages",
        ),
    ],
)
async def test_what_others_built_is_named_and_stays(
    old_url: str, old: asyncpg.Connection, built: str, named: str
) -> None:
    await _fill(old)
    await old.execute(f"CREATE SCHEMA theirs; {built}")
    before = await _told(old, "events")
    code, said = await _migrated_by_a_process(old_url)
    assert code == 1
    assert f"The database schema cannot be brought to {needed_version()}: " in said
    assert named in said
    assert await _told(old, "events") == before
    assert await old.fetchval("SELECT to_regclass('theirs.built') IS NOT NULL")

    await old.execute("DROP SCHEMA theirs CASCADE")
    code, said = await _migrated_by_a_process(old_url)
    assert code == 0
    assert f"goes from {BEFORE} to {needed_version()}" in said
    assert await _told(old, "packed_events") == before


async def test_whoever_may_not_migrate_is_told_why(old_url: str, roles: dict[str, str]) -> None:
    own_url = address(
        old_url, user=roles["service"], password="plain", database=urlsplit(old_url).path[1:]
    )
    with pytest.raises(SchemaOutdated, match="permission denied for schema bi_v1"):
        await migrate_database(own_url)


async def test_a_server_that_is_too_small_is_told_so_and_stays_as_it_was(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as url:
        await _begin(url)
        async with connected(url) as server:
            await _fill(server)
            before = await _told(server, "events")
            await server.execute("ALTER SYSTEM SET max_locks_per_transaction = 10")
            await server.execute("ALTER SYSTEM SET max_connections = 20")
    async with EmbeddedPostgres(tmp_path) as url:
        with pytest.raises(SchemaOutdated, match="max_locks_per_transaction"):
            await migrate_database(url)
        async with connected(url) as server:
            assert await _told(server, "events") == before
