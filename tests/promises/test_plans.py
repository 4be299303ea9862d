"""What the callback path asks stays cheap when the tables have grown."""

import re

import asyncpg
import pytest

from app.db import binding, forms, ingest
from app.db.forms import Forms
from app.db.ingest import append_events
from app.db.ingest_session import IngestSession
from app.domain.event import DeliveryEvent
from app.routee.translate import translate
from tests.promises.load import callback, changed

MESSAGES = 5_000
MANY_MESSAGES = 200_000
_CHUNK = 2_500


def _events(first: int, number: int) -> list[DeliveryEvent]:
    events = []
    for at in range(first, first + number):
        told = changed(callback(f"m{at}", "SENT", campaign=f"c{at % 500}"), to=f"+3069{at:08}")
        (record,) = translate(told.body).records
        assert isinstance(record, DeliveryEvent)
        events.append(record)
    return events


def _prepared(name: str, statement: str) -> str:
    return f"PREPARE {name} AS {statement}"


async def _explained(connection: asyncpg.Connection, name: str, statement: str) -> str:
    """The generic plan; that is the one in use, so the values do not matter."""
    await connection.execute(_prepared(name, statement))
    parameters = len(set(re.findall(r"\$\d+", statement)))
    nulls = ", ".join(["NULL"] * parameters)
    rows = await connection.fetch(f"EXPLAIN EXECUTE {name}({nulls})")
    return "\n".join(row[0] for row in rows)


async def _assert_plans_scan_nothing(url: str, messages: int) -> None:
    known = Forms()
    session = IngestSession(url, statement_timeout_seconds=60)
    async with session.connected() as lent:
        connection = lent._connection
        # Planned as the service does: once, while everything is empty.
        await append_events(connection, _events(0, 1))
        plans = {
            "events": await _explained(connection, "events_first", ingest.APPEND_EVENTS),
            "single": await _explained(connection, "single_first", ingest.APPEND_SINGLE_EVENTS),
            "forms": await _explained(connection, "forms_first", forms._REGISTER),
            "inbound": await _explained(connection, "inbound_first", ingest.APPEND_INBOUND),
            "binding": await _explained(connection, "bind_first", binding._BIND_MESSAGES),
        }
        for first in range(1, messages, _CHUNK):
            events = _events(first, min(_CHUNK, messages - first))
            await append_events(connection, events, known)
        packed = "SELECT count(*) FROM packed_events WHERE form_id IS NOT NULL"
        assert await connection.fetchval(packed) > messages / 10
        await connection.execute("ANALYZE")
        plans |= {
            "events, grown": await _explained(connection, "events", ingest.APPEND_EVENTS),
            "single, grown": await _explained(connection, "single", ingest.APPEND_SINGLE_EVENTS),
            "forms, grown": await _explained(connection, "forms", forms._REGISTER),
            "inbound, grown": await _explained(connection, "inbound", ingest.APPEND_INBOUND),
            "binding, grown": await _explained(connection, "binding", binding._BIND_MESSAGES),
        }
        await _assert_a_batch_touches_few_pages(connection, known, messages)
    await session.close()
    for name, plan in plans.items():
        assert "Seq Scan" not in plan, f"{name}\n{plan}"
    of_events = ("events", "events, grown", "single", "single, grown")
    for name in (*of_events, "inbound, grown"):
        assert "messages_pkey" in plans[name], plans[name]
        assert "campaigns_pkey" in plans[name], plans[name]
    for name in of_events:
        assert "Conflict Arbiter Indexes: packed_events_pkey" in plans[name], plans[name]
    for name in (*of_events, "forms", "forms, grown"):
        assert "event_forms_pkey" in plans[name], plans[name]


async def _assert_a_batch_touches_few_pages(
    connection: asyncpg.Connection, known: Forms, messages: int
) -> None:
    """The statistics of what was really read, whatever a plan says."""
    seen = "SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables"
    async with connection.transaction():
        before = await connection.fetchval(seen)
        await append_events(connection, _events(messages // 2, 100), known)
        assert await connection.fetchval(seen) == before


async def test_the_plans_of_the_callback_path_use_the_keys(url: str) -> None:
    await _assert_plans_scan_nothing(url, MESSAGES)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_plans_use_the_keys_with_very_many_messages(url: str) -> None:
    await _assert_plans_scan_nothing(url, MANY_MESSAGES)
