"""What the callback path asks goes by the keys, whatever size and statistics the tables have."""

import re
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import asyncpg
import pytest

from app.db.ingest import IngestSession, append_events
from app.db.launching import binding
from app.domain.event import DeliveryEvent
from app.routee.translate import translate
from tests.promises.load import callback

MESSAGES = 5_000
MANY_MESSAGES = 200_000
_CHUNK = 2_500

_FUNCTION: Final = """
SELECT prosrc, proargtypes[0]::regtype::text AS type, proconfig
FROM pg_proc WHERE oid = $1::text::regproc
"""


def _events(first: int, number: int) -> list[DeliveryEvent]:
    events = []
    for at in range(first, first + number):
        (record,) = translate(callback(f"m{at}", "SENT", campaign=f"c{at % 500}").body).records
        assert isinstance(record, DeliveryEvent)
        events.append(record)
    return events


async def _explained_function(connection: asyncpg.Connection, name: str) -> str:
    """The plan of the function's one statement, under the settings that the function has."""
    source, of_type, settings = await connection.fetchrow(_FUNCTION, name) or ("", "", [])
    statement = re.sub(r"\bbatch\b", f"$1::{of_type}", source)
    statement = re.sub(r"\breceived\b", "$2::timestamptz", statement)
    async with connection.transaction():
        for setting in settings:
            changed, _, value = setting.partition("=")
            await connection.execute(f"SET LOCAL {changed} = '{value}'")
        await connection.execute(f"PREPARE explained AS {statement}")
        rows = await connection.fetch("EXPLAIN EXECUTE explained(NULL, NULL)")
        await connection.execute("DEALLOCATE explained")
    return "\n".join(row[0] for row in rows)


def _assert_by_key(plan: str) -> None:
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= {"statuses"}, plan
    assert "Scan using" not in plan.replace("Scan using statuses_pkey", ""), plan
    assert "Conflict Arbiter Indexes: messages_pkey" in plan, plan
    assert "Conflict Arbiter Indexes: events_pkey" in plan, plan
    assert "Insert on campaign_count_deltas" in plan, plan


def _shape(plan: str) -> list[str]:
    """The nodes of *plan* without estimates, behind the join with the few statuses."""
    _, _, rest = plan.partition("CTE reported")
    return [re.sub(r" +\(cost=.*", "", line) for line in rest.splitlines()]


async def _assert_plans_go_by_key(url: str, sizes: Sequence[int]) -> None:
    session = IngestSession(url, statement_timeout_seconds=60)
    async with session.connected() as lent:
        connection = lent
        shapes = []
        stored = 0
        for size in (0, 1, *sizes):
            for first in range(stored, size, _CHUNK):
                await append_events(connection, _events(first, min(_CHUNK, size - first)))
            stored = size
            for statistics in ("before", "after"):
                if statistics == "after":
                    await connection.execute("VACUUM ANALYZE")
                plan = await _explained_function(connection, "append_events")
                _assert_by_key(plan)
                shapes.append(_shape(plan))
        await _assert_binding_goes_by_key(connection)
        for shape in shapes:
            assert shape == shapes[0]
        await _assert_a_batch_scans_no_table(connection, stored)
        await _assert_replies_go_by_key(connection)
    await session.close()


async def _assert_replies_go_by_key(connection: asyncpg.Connection) -> None:
    """Replies are planned anew for each batch, for tables as they are."""
    source, of_type, settings = await connection.fetchrow(_FUNCTION, "append_inbound") or (
        "",
        "",
        [],
    )
    assert settings == ["plan_cache_mode=force_custom_plan"]
    statement = source.replace("unnest(batch)", f"unnest(NULL::{of_type})")
    statement = statement.replace("(received,", "(NULL::timestamptz,")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}"))
    assert "messages_pkey" in plan, plan


async def _assert_binding_goes_by_key(connection: asyncpg.Connection) -> None:
    """Learning a campaign's trackingId plans anew each time, for tables as they are."""
    statement = binding._BIND_MESSAGES.replace("$1", f"'{uuid4()}'::uuid").replace("$2", "'c1'")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}"))
    of_empty_tables = plan.count("cost=0.00..0.00")
    assert plan.count("Seq Scan") <= of_empty_tables, plan
    assert "messages_pkey" in plan, plan
    assert "messages_unbound_idx" in plan, plan


async def _assert_a_batch_scans_no_table(connection: asyncpg.Connection, messages: int) -> None:
    """By the statistics of what was really read, whatever a plan says."""
    seen = (
        "SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables WHERE relname <> 'statuses'"
    )
    async with connection.transaction():
        before = await connection.fetchval(seen)
        await append_events(connection, _events(messages // 2, 100))
        assert await connection.fetchval(seen) == before


async def test_the_plans_of_the_callback_path_use_the_keys(url: str) -> None:
    await _assert_plans_go_by_key(url, [100, MESSAGES])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_plans_use_the_keys_with_very_many_messages(url: str) -> None:
    await _assert_plans_go_by_key(url, [MESSAGES, MANY_MESSAGES])


async def test_the_callback_path_sets_no_planner_for_its_session(url: str) -> None:
    session = IngestSession(url, statement_timeout_seconds=60)
    async with session.connected() as lent:
        changed = await lent.fetch(
            "SELECT name FROM pg_settings WHERE source = 'client'"
            " AND (name LIKE 'enable\\_%' OR name = 'plan_cache_mode')"
        )
    await session.close()
    assert not changed
