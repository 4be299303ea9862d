"""What the dashboard says of a campaign is what the analysts' views say."""

import random
from collections import Counter
from typing import Any

import asyncpg
import pytest

from app.db.bi import roll_up
from app.db.bi.roll_up import roll_up_chunk
from app.db.count_folding import CountFolding
from app.db.dashboard import figures, standing
from app.db.dashboard.figures import Bucket, Figures, figures_of
from app.db.dashboard.standing import MAX_CAMPAIGNS, standing_since
from app.db.database import Database
from app.domain.status import Status
from app.services.dashboard.durations import quantile_of
from tests.db.bi.story import START, make_campaigns, store_in_batches, story, teach


async def _of_each(
    database: Database, connection: asyncpg.Connection
) -> dict[asyncpg.Record, Figures]:
    campaigns = await connection.fetch("SELECT * FROM bi_v1.campaigns")
    return {row: await figures_of(database, _keys(row)) for row in campaigns}


def _keys(row: asyncpg.Record) -> list[str]:
    own = f"ours:{row['campaign_id']}"
    return [own, *filter(None, [row["campaign_tracking_id"]])]


async def _reasons_agree(
    connection: asyncpg.Connection, campaign: asyncpg.Record, found: Figures
) -> None:
    rows = await connection.fetch(
        "SELECT status, detailed_status, description, messages FROM bi_v1.failure_reasons"
        " WHERE campaign_id = $1",
        campaign["campaign_id"],
    )
    assert Counter(found.reasons) == Counter(tuple(row) for row in rows)
    numbers = [reason.messages for reason in found.reasons]
    assert numbers == sorted(numbers, reverse=True)
    assert found.failed == sum(numbers)
    assert found.failed == sum(
        campaign[it] for it in ("undelivered", "expired", "failed", "unsent")
    )


async def _hours_agree(
    connection: asyncpg.Connection, campaign: asyncpg.Record, found: Figures
) -> None:
    rows = await connection.fetch(
        "SELECT * FROM bi_v1.delivery_hourly WHERE campaign_id = $1", campaign["campaign_id"]
    )
    expected: Counter[Any] = Counter()
    for row in rows:
        for status in Status:
            expected[row["hour"], status.value] += row[status.lower()]
    assert {(hour, status): events for hour, status, events in found.hours} == +expected


def _durations_agree(campaign: asyncpg.Record, found: Figures) -> None:
    for name, buckets in (("deliver", found.to_deliver), ("see", found.to_see)):
        for percent in (50, 95):
            expected = campaign[f"seconds_to_{name}_p{percent}"]
            assert quantile_of(buckets, percent) == expected


@pytest.mark.parametrize("seed", range(4))
async def test_the_figures_of_a_campaign_are_those_of_the_views_whatever_is_rolled_up(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(roll_up, "MAX_EVENTS", 37)
    rng = random.Random(seed)  # noqa: S311
    ours = await make_campaigns(connection)
    events = story(ours, seed, messages=60)
    for part, at in enumerate(range(0, len(events), 60)):
        await store_in_batches(connection, events[at : at + 60], rng)
        if part == 2:
            await teach(database, ours[1], "learnt late")
        for _ in range(rng.randint(0, 3)):
            await roll_up_chunk(database)
        for campaign, found in (await _of_each(database, connection)).items():
            assert not found.is_behind
            assert found.price == campaign["price"]
            await _reasons_agree(connection, campaign, found)
            await _hours_agree(connection, campaign, found)
            _durations_agree(campaign, found)


async def test_what_is_pending_is_left_out_if_it_is_too_much_for_a_page(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MAX_PENDING", 3)
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 1, messages=30), random.Random(1))  # noqa: S311
    behind = await figures_of(database, ["known"])
    assert (behind.is_behind, behind.hours, behind.failed) == (True, [], 0)
    while await roll_up_chunk(database):
        pass
    current = await figures_of(database, ["known"])
    assert not current.is_behind
    assert current.hours


async def test_rare_reasons_count_though_they_are_not_listed(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_campaigns(connection)
    await connection.execute("""
        INSERT INTO bi_failure_reasons
        SELECT gen_random_uuid(), 'known', '2026-03-30', 'FAILED', 'reason ' || n, NULL, n
        FROM generate_series(1, 4) n
    """)
    monkeypatch.setattr(figures, "MAX_REASONS", 2)
    found = await figures_of(database, ["known"])
    assert [reason.messages for reason in found.reasons] == [4, 3]
    assert found.failed == 10


@pytest.mark.parametrize("seed", range(2))
async def test_where_messages_stand_is_the_sum_over_campaigns(
    database: Database, connection: asyncpg.Connection, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, seed, messages=60), rng)
    await teach(database, ours[1], "learnt late")
    await connection.execute("UPDATE campaigns SET expected_messages = 40 WHERE name = 'spring'")
    await connection.execute(
        "UPDATE campaigns SET expected_messages = 50, finished_at = now(), submission = 'launched'"
        " WHERE name = 'late'"
    )
    if seed:
        await CountFolding(database).fold()
    found = await standing_since(database, START)
    row = await connection.fetchrow("""
        SELECT sum(overdue) AS overdue, sum(
            CASE WHEN NOT finished AND submission IN ('launched', 'observed')
            THEN greatest(messages, expected_messages) - undelivered - expired - failed - unsent
                - delivered - seen END
        ) AS awaited
        FROM bi_v1.campaigns
    """)
    assert row is not None
    assert (found.awaited, found.overdue) == (row["awaited"], row["overdue"])
    assert found.overdue > 0
    for status in Status:
        counted = f"SELECT sum({status.lower()}) FROM bi_v1.campaigns"  # noqa: S608
        unbound = await connection.fetchval(
            "SELECT count(*) FROM messages WHERE campaign_tracking_id IS NULL"
            " AND campaign_id IS NOT NULL AND status = $1",
            status.value,
        )
        assert found.counts.get(status, 0) == await connection.fetchval(counted) - unbound
    assert not found.is_partial


async def test_of_very_many_campaigns_the_newest_count_and_it_is_said(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "INSERT INTO campaigns (tracking_id, submission, expected_messages, finished_at)"
        " SELECT n::text, 'launched', 1, now() FROM generate_series(1, $1) n",
        MAX_CAMPAIGNS,
    )
    found = await standing_since(database, START)
    assert (found.overdue, found.is_partial) == (MAX_CAMPAIGNS, True)


def test_a_quantile_of_buckets_is_the_least_that_enough_messages_do_not_exceed() -> None:
    buckets = [Bucket(0.5, 1), Bucket(3.0, 18), Bucket(90.0, 1)]
    assert [quantile_of(buckets, percent) for percent in (5, 6, 95, 96)] == [0.5, 3.0, 3.0, 90.0]
    assert quantile_of([], 50) is None
