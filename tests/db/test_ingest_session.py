from app.db.ingest import APPEND_EVENTS
from app.db.ingest_session import IngestSession
from tests.db.feed_stage import event


async def test_the_statement_of_a_batch_is_prepared_once(url: str) -> None:
    session = IngestSession(url, statement_timeout_seconds=20)
    for number in range(3):
        async with session.connected() as ingest:
            await ingest.append_events([event(f"m{number}")])
    async with session.connected() as ingest:
        prepared = await ingest._connection.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1",
            APPEND_EVENTS,
        )
    assert [tuple(row) for row in prepared] == [(3, 0)]
    await session.close()
