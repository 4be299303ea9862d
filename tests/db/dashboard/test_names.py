import asyncpg

from app.db.dashboard.names import names_of_campaigns
from app.db.database import Database

_FILL = """
INSERT INTO campaigns (tracking_id, submission, name)
VALUES ('c', 'launched', 'Spring'), ('d', 'observed', NULL), ('e', 'observed', NULL);
INSERT INTO bi_campaign_facts (campaign_key, name) VALUES ('d', 'Summer')
"""


async def test_campaigns_are_named_by_their_launch_or_by_what_was_reported(
    connection: asyncpg.Connection, database: Database
) -> None:
    await connection.execute(_FILL)
    found = await names_of_campaigns(database, ["c", "d", "e", "x", None, "c"])
    assert found == {"c": "Spring", "d": "Summer"}


async def test_nothing_is_asked_for_no_campaigns(database: Database) -> None:
    assert await names_of_campaigns(database, [None]) == {}
