import pytest

from app.db.ingest import APPEND_EVENTS, APPEND_SINGLE_EVENTS
from app.db.ingest_session import IngestSession
from tests.db.feed_stage import event


@pytest.mark.parametrize(
    ("statuses", "statement"),
    [(["SENT"], APPEND_SINGLE_EVENTS), (["SENT", "SEEN"], APPEND_EVENTS)],
    ids=["each message once", "a message twice"],
)
async def test_the_statement_of_a_batch_is_prepared_once(
    url: str, statuses: list[str], statement: str
) -> None:
    session = IngestSession(url, statement_timeout_seconds=20)
    for number in range(3):
        async with session.connected() as ingest:
            await ingest.append_events([event(f"m{number}", status) for status in statuses])
    async with session.connected() as ingest:
        prepared = await ingest._connection.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1",
            statement,
        )
    assert [tuple(row) for row in prepared] == [(3, 0)]
    await session.close()
