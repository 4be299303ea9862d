"""As a notebook."""

import polars as pl

from app.db.engine import make_engine


async def test_a_view_becomes_a_frame_with_types(analyst_url: str) -> None:
    engine = make_engine(analyst_url, name="tests", pool_items=1, statement_timeout_seconds=20)
    async with engine.connect() as session:
        frame = await session.run_sync(
            lambda it: pl.read_database(
                "SELECT * FROM bi_v1.messages ORDER BY message_tracking_id", connection=it
            )
        )
    await engine.dispose()
    assert frame["status"].to_list() == ["DELIVERED", "SEEN", "UNDELIVERED"]
    assert frame.schema["delivered_at"] == pl.Datetime("us", "UTC")
