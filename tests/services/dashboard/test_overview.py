import math
import random
from datetime import UTC, datetime, timedelta

import asyncpg

from app.db.dashboard.standing import AtMost
from app.db.database import Database, schema_version
from app.domain.received import Measure
from app.observability.metrics import Metrics
from app.services.bi import ReceivedCounts
from app.services.dashboard.overview import overview_of, received_of
from tests.db.bi.story import make_campaigns, store_in_batches, story


async def test_an_empty_database_has_an_overview(database: Database) -> None:
    found = await overview_of(database, datetime.now(UTC))
    assert (found.last_hour.total, found.last_day.total, found.newest_callback_at) == (0, 0, None)
    assert found.standing == ({}, 0, 0, False)
    assert (found.in_progress, found.unconfirmed) == ([], [])
    assert found.unconfirmed_count == found.quarantined == AtMost(0, is_more=False)
    assert found.schema_version == schema_version()


async def test_the_overview_has_what_comes_and_what_waits(
    database: Database, connection: asyncpg.Connection
) -> None:
    metrics = Metrics()
    counts = ReceivedCounts(database, metrics)
    metrics.note_answers([(metrics.callbacks.labels("status", "stored"), 0.01)] * 3)
    metrics.note_answers([(metrics.callbacks.labels("status", "too-large"), 3.0)])
    metrics.note_lags([0.1, 3])
    await counts.write()
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 1, messages=30), random.Random(1))  # noqa: S311
    await connection.execute(
        "UPDATE campaigns SET created_at = now() - interval '2 days' WHERE name = 'spring'"
    )
    now = datetime.now(UTC)
    found = await overview_of(database, now)
    assert (found.last_hour.stored, found.last_hour.refused, found.last_hour.total) == (3, 1, 4)
    assert found.last_hour.share_in_time == 0.75
    assert (found.last_hour.lag_p50, found.last_hour.lag_p95) == (0.5, 5)
    assert found.last_day == found.last_hour
    assert found.newest_callback_at is not None
    assert now - found.newest_callback_at < timedelta(minutes=5)
    assert {it.campaign.tracking_id for it in found.in_progress} == {"known", "seen elsewhere"}
    [known] = [it for it in found.in_progress if it.campaign.tracking_id == "known"]
    assert known.expected == sum(known.counts.values()) > 0
    assert {it.name for it in found.unconfirmed} == {"late", "never"}
    assert found.standing.awaited == sum(it.missing for it in found.in_progress)


def test_each_answer_is_counted_as_one_thing() -> None:
    answers = ("stored", "buffered", "quarantined", "not-stored", "ready", "too-large", "new word")
    found = received_of({(Measure.ANSWER, answer): 2**at for at, answer in enumerate(answers)})
    assert found[:5] == (1, 2, 4, 8, 32 + 64)
    assert found.total == 111
    assert (found.share_in_time, found.lag_p50) == (None, None)


def test_what_is_slower_than_all_buckets_is_slower_than_any_number() -> None:
    found = received_of({(Measure.PROVIDER_LAG_SECONDS, "inf"): 1})
    assert found.lag_p95 == math.inf
