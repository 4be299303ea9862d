import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from app.db.dashboard.received import received_of_late
from app.db.database import Database
from app.domain.received import Measure, share_in_time
from app.errors import DatabaseUnavailable
from app.observability.metrics import Metrics
from app.services.bi import AnalystWatch, ReceivedCounts
from tests.db.bi.stage import analyst, connected


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, name="tests", pool_items=1)
    yield database
    await database.close()


def _ended(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value(
        "receiver_bi_sessions_ended_total", {"how": "terminated"}
    )


async def test_what_is_ended_is_counted_and_logged_without_its_query(
    url: str, database: Database
) -> None:
    metrics = Metrics()
    watch = AnalystWatch(database, metrics=metrics, longest=timedelta(0))
    async with analyst(url) as own_url, connected(own_url) as session:
        await session.execute("BEGIN")
        await session.fetch("SELECT '+306912345678' FROM bi_v1.messages")
        with capture_logs() as logs:
            await watch.poll()
            while not session.is_closed():  # noqa: ASYNC110 (a session takes its time to end)
                await asyncio.sleep(0.01)
            await watch.poll()
        assert _ended(metrics) == 1
    [entry] = logs
    assert entry["how"] == "terminated"
    assert entry["login"].startswith("analyst_")
    assert "SELECT" not in str(entry)


async def test_a_role_that_may_not_end_sessions_says_so_once(url: str) -> None:
    name = f"plain_{uuid4().hex}"
    async with connected(url) as owner, analyst(url) as own_url, connected(own_url) as session:
        await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
        try:
            await session.execute("BEGIN")
            plain_url = own_url.replace(
                own_url.partition("//")[2].partition("@")[0], f"{name}:plain"
            )
            plain = Database(plain_url, name="tests", pool_items=1)
            watch = AnalystWatch(plain, metrics=Metrics(), longest=timedelta(0))
            with capture_logs() as logs:
                await watch.poll()
                await watch.poll()
            await plain.close()
            assert await session.fetchval("SELECT 1") == 1
        finally:
            await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    [entry] = logs
    assert "pg_signal_backend" in entry["remedy"]


async def test_what_processes_receive_is_added_up_by_day(url: str, database: Database) -> None:
    shown = "SELECT kind, records, fresh, repeated FROM bi_v1.received_daily ORDER BY kind"
    processes = [Metrics(), Metrics()]
    counts = [ReceivedCounts(database, metrics) for metrics in processes]
    async with connected(url) as owner:
        for metrics, count in zip(processes, counts, strict=True):
            metrics.records.labels("event", "fresh").inc(3)
            await count.write()
            await count.write()
        processes[0].records.labels("event", "duplicate").inc(2)
        processes[0].records.labels("reply", "fresh").inc()
        processes[1].records.labels("event", "fresh").inc(0)
        for count in counts:
            await count.write()
        rows = await owner.fetch(shown)
        assert [tuple(row) for row in rows] == [("event", 8, 6, 2), ("reply", 1, 1, 0)]


async def test_what_could_not_be_written_is_written_the_next_time(
    url: str, database: Database
) -> None:
    metrics = Metrics()
    counts = ReceivedCounts(database, metrics)
    metrics.records.labels("event", "fresh").inc(3)
    async with connected(url) as owner:
        await owner.execute("ALTER TABLE bi_received RENAME TO away")
        with pytest.raises(DatabaseUnavailable):
            await counts.write()
        await owner.execute("ALTER TABLE away RENAME TO bi_received")
        await counts.write()
        assert await owner.fetchval("SELECT sum(records) FROM bi_v1.received_daily") == 3


_HOUR = timedelta(hours=1)


async def test_what_processes_answer_of_late_is_added_up(url: str, database: Database) -> None:
    processes = [Metrics(), Metrics()]
    counts = [ReceivedCounts(database, metrics) for metrics in processes]
    for metrics, count in zip(processes, counts, strict=True):
        stored = metrics.callbacks.labels("status", "stored")
        refused = metrics.callbacks.labels("inbound", "not-stored")
        metrics.note_answers([(stored, 0.001), (stored, 2.0), (refused, 3.0), (refused, None)])
        metrics.note_lags([0.7, 70])
        metrics.records.labels("event", "duplicate").inc()
        await count.write()
        await count.write()
    found = await received_of_late(database, _HOUR)
    assert found == {
        (Measure.ANSWER, "stored"): 4,
        (Measure.ANSWER, "not-stored"): 4,
        (Measure.RECORD, "duplicate"): 2,
        (Measure.ANSWER_SECONDS, "0.005"): 2,
        (Measure.ANSWER_SECONDS, "2"): 2,
        (Measure.ANSWER_SECONDS, "5"): 2,
        (Measure.PROVIDER_LAG_SECONDS, "1"): 2,
        (Measure.PROVIDER_LAG_SECONDS, "300"): 2,
    }
    assert share_in_time(found) == pytest.approx(2 / 3)
    async with connected(url) as owner:
        await owner.execute("UPDATE received_lately SET began_at = began_at - interval '2 hours'")
    assert not await received_of_late(database, _HOUR)
    assert await received_of_late(database, 3 * _HOUR) == found


async def test_what_is_older_than_a_week_and_a_day_is_forgotten(
    url: str, database: Database
) -> None:
    metrics = Metrics()
    counts = ReceivedCounts(database, metrics)
    async with connected(url) as owner:
        await owner.execute("""
            INSERT INTO received_lately
            SELECT now() - days * interval '1 day', 'answer', 'stored', 1
            FROM unnest(array[7, 9]) AS days
        """)
        metrics.records.labels("event", "fresh").inc()
        await counts.write()
        kept = "SELECT count(*) FROM received_lately WHERE measure = 'answer'"
        assert await owner.fetchval(kept) == 1


async def test_of_both_counts_none_is_written_without_the_other(
    url: str, database: Database
) -> None:
    metrics = Metrics()
    counts = ReceivedCounts(database, metrics)
    metrics.records.labels("event", "fresh").inc(3)
    async with connected(url) as owner:
        await owner.execute("ALTER TABLE received_lately RENAME TO away")
        with pytest.raises(DatabaseUnavailable):
            await counts.write()
        await owner.execute("ALTER TABLE away RENAME TO received_lately")
        await counts.write()
        assert await owner.fetchval("SELECT sum(records) FROM bi_v1.received_daily") == 3
    assert await received_of_late(database, _HOUR) == {(Measure.RECORD, "fresh"): 3}
