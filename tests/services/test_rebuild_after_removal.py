"""What retention and erasure change is no damage, and stays as it is."""

import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.domain.erasure import ErasureKeys
from app.domain.rebuild import Projection
from app.domain.retention import retention_of_days
from app.services.erasure import erasures
from app.services.erasure.erasures import Eraser
from app.services.retention import PurgeJob
from tests.promises.load import Callback, callback, changed, stories
from tests.services.kept_stage import ADD_MARCH_2026, Kept
from tests.services.rebuild_stage import rebuilt, rolled_up, state, verified

LONG_AGO = 200
NUMBER = "+306912345678"
OTHER = "+306987654321"
KEYS = ErasureKeys(["a-key-of-the-tests-0123456789abcdef"])


@pytest.fixture
def kept(url: str, connection: asyncpg.Connection) -> Kept:
    return Kept(url, connection)


def _recent(message: str, status: str = "SEEN") -> Callback:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    return changed(callback(message, status), status={"name": status, "updatedDate": yesterday})


async def _retain(kept: Kept, messages: int | None = None) -> None:
    retention = retention_of_days(raw=None, events=100, messages=messages, inbound=None)
    assert await PurgeJob(kept.url, retention).run() is not None


@pytest.mark.parametrize("by_month", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_messages_of_which_retention_has_removed_events_stay_as_they_are(
    kept: Kept, *, by_month: bool
) -> None:
    if by_month:
        await kept.connection.execute(ADD_MARCH_2026)
    await kept.store([*stories("gone", 2), *stories("cut", 3)], days_ago=LONG_AGO)
    await kept.store([_recent("cut-0"), _recent("cut-1"), _recent("new")])
    before = await state(kept.connection)
    await _retain(kept)
    assert await kept.number("SELECT count(*) FROM events") == 3
    assert await state(kept.connection) == before
    found = await verified(kept.url)
    assert not found.differing, found.differences
    assert (found.examined, found.left_alone) == (6, 5)
    # What can be told of them is damaged as well, and the rest of it is not touched.
    await kept.connection.execute("UPDATE messages SET label = 'x', sender = NULL")
    assert (await verified(kept.url)).differing[Projection.MESSAGES] == 1
    await rebuilt(kept.url)
    assert await kept.texts("SELECT message_tracking_id FROM messages WHERE label <> 'x'") == [
        "new"
    ]
    assert await kept.number("SELECT min(queued_at)::date - date '2026-03-01' FROM messages") == 0


@pytest.mark.slow
async def test_an_event_that_was_received_long_ago_and_is_stored_now_makes_a_message_old(
    kept: Kept,
) -> None:
    await kept.store([_recent("late")])
    await kept.store([callback("late", "SENT")], days_ago=LONG_AGO)
    await _retain(kept)
    found = await verified(kept.url)
    assert not found.differing, found.differences
    assert found.left_alone == 1


async def test_counts_and_roll_ups_keep_the_messages_that_retention_has_removed(
    kept: Kept,
) -> None:
    await kept.store(stories("gone", 3), days_ago=LONG_AGO)
    await kept.store([callback("unnamed", campaign=None)], days_ago=LONG_AGO)
    of_gone = changed(_recent("new"), campaignTrackingId="gone-c0")
    await kept.store([of_gone, changed(_recent("other"), campaignTrackingId="other")])
    before = await state(kept.connection)
    await _retain(kept, messages=100)
    assert await kept.number("SELECT count(*) FROM messages") == 2
    assert not (await verified(kept.url)).differing
    assert not (await rebuilt(kept.url)).repaired
    after = await state(kept.connection)
    assert {it for it in before if before[it] != after[it]} == {"messages", "counted"}
    # Counts are known exactly, the roll-ups of campaigns of which nothing was removed as well.
    await kept.connection.execute(
        "TRUNCATE campaign_counts, campaign_count_deltas, bi_daily_messages, bi_rollup_hourly"
    )
    found = await rebuilt(kept.url)
    assert found.differing == {Projection.COUNTS: 2, Projection.DAYS: 1, Projection.HOURS: 2}
    assert (await state(kept.connection))["counts"] == before["counts"]
    days = "SELECT campaign_key FROM bi_daily_messages"
    assert await kept.texts(days) == ["other"]
    assert not (await verified(kept.url)).differing


async def test_an_erased_recipient_makes_no_difference(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "KNOWN_WITHIN_SECONDS", 0)
    # Of the labels and senders the least is another one once the number is taken out.
    own = [
        changed(callback("own", "SENT"), label=f"{NUMBER} x", **{"from": "Shop"}),
        changed(callback("own", "SEEN", days=1), label="autumn", **{"from": NUMBER}),
        changed(callback("own", f"TO {NUMBER}", days=2), label="c"),
    ]
    theirs = [
        changed(callback("theirs", "SENT"), to=OTHER, label=f"{NUMBER} y"),
        changed(callback("theirs", "SEEN", days=1), to=OTHER, label="autumn"),
    ]
    await kept.store([*own, *theirs, *stories("m", 3, recipients=2)])
    await Eraser(kept.url, KEYS).erase(NUMBER, asked_by="the tests")
    for _ in range(2):
        found = await verified(kept.url)
        assert not found.differing, found.differences
        await rolled_up(kept.url)
    labels = "SELECT label FROM messages WHERE message_tracking_id IN ('own', 'theirs')"
    assert await kept.texts(labels) == ["autumn", "autumn"]
    before = await state(kept.connection)
    await kept.connection.execute("TRUNCATE messages")
    await rebuilt(kept.url)
    assert await state(kept.connection) == before
    assert NUMBER not in json.dumps(before)


async def test_the_roll_ups_are_compared_once_no_erasure_is_under_way(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.store(stories("m", 2))
    await kept.connection.execute(
        "INSERT INTO erasures (kind, asked_by, digits, began_at) VALUES ('erase', '', '1', now())"
    )
    waited: list[float] = []

    async def _end(seconds: float) -> None:
        if seconds == 1:
            waited.append(seconds)
            await kept.connection.execute("UPDATE erasures SET digits = NULL, ended_at = now()")

    monkeypatch.setattr("app.services.rebuild.asyncio.sleep", _end)
    assert not (await verified(kept.url)).differing
    assert waited == [1]
