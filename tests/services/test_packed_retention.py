"""What is packed goes in its time, and what is left tells the same."""

from collections.abc import Collection

import asyncpg
import pytest

from app.db.forms import Forms
from app.db.ingest import append_events
from app.db.payloads import opened
from app.domain.retention import retention_of_days
from app.services import retention as service
from app.services.retention import Retaining
from tests.db.feed_stage import event
from tests.services.kept_stage import Kept, Told, campaign, numbers

LONG_AGO = 200
RECIPIENTS = numbers(30)
SKELETONS = "SELECT count(skeleton) FROM event_forms"
FORMS = "SELECT count(*) FROM event_forms"


@pytest.fixture
def kept(url: str, connection: asyncpg.Connection) -> Kept:
    return Kept(url, connection)


async def _retain(kept: Kept, *, raw: int | None = None, events: int | None = None) -> None:
    retention = retention_of_days(raw=raw, events=events, messages=None, inbound=None)
    assert await Retaining(kept.url, retention).run()


async def _store(kept: Kept, mark: str, *, days_ago: int = 0) -> None:
    await kept.store(campaign(mark, RECIPIENTS, "SENT", "DELIVERED"), days_ago=days_ago)
    assert await kept.packed(mark)


def _without_payloads(told: Told) -> Told:
    return {key: (fields, None) for key, (fields, _) in told.items()}


async def _assert_no_form_is_missing(kept: Kept) -> None:
    query = "SELECT count(*) FROM packed_events e WHERE form_id IS NOT NULL AND NOT EXISTS (%s)"
    named = "SELECT FROM event_forms f WHERE f.id = e.form_id"
    assert await kept.number(query % named) == 0


async def test_payloads_go_with_the_skeletons_of_months_that_are_over(kept: Kept) -> None:
    await _store(kept, "old", days_ago=LONG_AGO)
    await _store(kept, "new")
    old, new = await kept.told("old"), await kept.told("new")
    packed = await kept.packed()
    assert None not in {payload for _, payload in old.values()}
    await _retain(kept, raw=100)
    assert await kept.told("old") == _without_payloads(old)
    assert await kept.told("new") == new
    assert await kept.packed() == packed
    assert await kept.number(SKELETONS) == 2
    assert await kept.number(FORMS) == 4
    await kept.store(campaign("more", RECIPIENTS, "SENT", "DELIVERED"))
    assert await kept.number(SKELETONS) == 4


async def test_the_skeletons_of_a_month_that_is_not_over_stay(kept: Kept) -> None:
    await _store(kept, "old", days_ago=100)
    old = await kept.told("old")
    await _retain(kept, raw=99)
    assert await kept.told("old") == _without_payloads(old)
    assert await kept.number(SKELETONS) == await kept.number(FORMS) == 2


async def test_forms_go_with_the_last_event(kept: Kept) -> None:
    await _store(kept, "old", days_ago=LONG_AGO)
    await _store(kept, "new")
    new = await kept.told("new")
    await _retain(kept, events=LONG_AGO + 10)
    assert await kept.number(FORMS) == 4
    await _retain(kept, events=100)
    assert await kept.number(FORMS) == 2
    assert await kept.told() == new


async def test_forms_go_with_a_month_that_is_emptied(kept: Kept) -> None:
    await _store(kept, "old", days_ago=LONG_AGO)
    await _retain(kept, events=100)
    assert await kept.number("SELECT count(*) FROM packed_events") == 0
    assert await kept.number(FORMS) == 0
    await _store(kept, "new")
    assert {payload for _, payload in (await kept.told()).values()} == {
        one.body for one in campaign("new", RECIPIENTS, "SENT", "DELIVERED")
    }


async def test_a_form_of_which_somebody_holds_an_event_stays_until_that_is_gone(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_PAUSE_SECONDS", 0)
    await _store(kept, "old", days_ago=LONG_AGO)
    old = await kept.told("old-29")
    held = await asyncpg.connect(kept.url)
    async with held.transaction():
        await held.execute(
            "SELECT FROM packed_events WHERE message_key = message_key('old-29')"
            " AND status_key = 'SENT' FOR UPDATE"
        )
        await _retain(kept, events=100)
        left = await kept.told()
        assert left == {("old-29", "SENT"): old["old-29", "SENT"]}
        assert await kept.number(FORMS) == 1
    await held.close()
    await _retain(kept, events=100)
    assert await kept.number(FORMS) == 0


@pytest.mark.parametrize("late", [["old-10"], ["old-29"], ["old-10", "old-20", "old-29"]])
@pytest.mark.parametrize("first_years", [-1, 1])
async def test_no_clock_makes_a_form_go_before_its_events(
    kept: Kept, late: Collection[str], first_years: int
) -> None:
    """Servers date what they store by clocks of their own, and the order of the feed has none."""
    await _store(kept, "old", days_ago=LONG_AGO)
    await kept.connection.execute(
        "UPDATE packed_events SET received_at = now() WHERE message_key IN ("
        " SELECT message_key(id) FROM unnest($1::text[]) AS id)",
        late,
    )
    await kept.connection.execute(
        "UPDATE packed_events SET received_at = now() + make_interval(years => $1)"
        " WHERE id = (SELECT min(id) FROM packed_events)",
        first_years,
    )
    before = await kept.told()
    await _retain(kept, events=100)
    left = await kept.told()
    assert {key for key in before if key[0] in late} <= left.keys()
    assert left.items() <= before.items()
    await _assert_no_form_is_missing(kept)


async def test_the_forms_of_an_older_epoch_of_the_feed_go_with_its_events(kept: Kept) -> None:
    await _store(kept, "old", days_ago=LONG_AGO)
    await kept.connection.execute("UPDATE packed_events SET feed_epoch = 0")
    await _store(kept, "new")
    new = await kept.told("new")
    for days in (LONG_AGO + 10, 100):
        await _retain(kept, events=days)
        await _assert_no_form_is_missing(kept)
    assert await kept.told("new") == new


async def test_a_form_is_not_used_any_more_when_its_month_is_over(
    connection: asyncpg.Connection,
) -> None:
    forms = Forms(min_messages=1)
    payload = b'{"to":"+306912345678"}'
    events = [event(f"m{at}")._replace(payload=payload) for at in range(4)]
    await append_events(connection, events[:2], forms)
    # As if the process had a clock of its own, or had had the form for so long.
    await connection.execute("UPDATE event_forms SET month = month - interval '1 month 2 days'")
    await append_events(connection, events[2:], forms)
    packed = await connection.fetch("SELECT form_id IS NOT NULL FROM packed_events ORDER BY id")
    assert [row[0] for row in packed] == [True, True, False, False]
    payloads = await connection.fetch("SELECT payload, payload_dictionary FROM events")
    assert {opened(*row) for row in payloads} == {payload}


async def test_a_dry_run_counts_what_is_packed(kept: Kept) -> None:
    await _store(kept, "old", days_ago=LONG_AGO)
    await _store(kept, "new")
    before = await kept.told()
    retention = retention_of_days(raw=100, events=100, messages=100, inbound=None)
    found = await Retaining(kept.url, retention).would_remove()
    rows = {item.name: item.rows for item in found.items if item.rows}
    assert rows == {"payloads of events": 60, "events": 60, "messages": 30}
    sizes = {item.name: item.bytes for item in found.items}
    of_skeletons = await kept.number(
        "SELECT sum(pg_column_size(skeleton)) FROM event_forms WHERE month < now() - interval"
        " '100 days'"
    )
    assert sizes["payloads of events"] > of_skeletons > 0
    assert sizes["events"] > 60 * 100
    assert await kept.told() == before
    assert await kept.number(SKELETONS) == 4
