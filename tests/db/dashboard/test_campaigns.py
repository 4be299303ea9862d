"""Lists of campaigns for people."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.db.dashboard import campaigns
from app.db.dashboard.campaigns import (
    CampaignSearch,
    ListedCampaign,
    newest_unconfirmed,
    newest_unfinished,
    page_of_listed_campaigns,
)
from app.db.dashboard.search import has_label
from app.db.dashboard.standing import count_unconfirmed, count_unstored
from app.db.database import Database
from app.domain.campaign import Submission

_FILL = """
INSERT INTO campaigns (id, created_at, tracking_id, name, label, submission)
SELECT uuidv7(-age), now() - age, tracking_id, name, label, submission
FROM (VALUES
    (interval '5 days', 'a', 'Ανοιξιάτικης ΠΡΟΣΦΟΡΑΣ', 'spring', 'launched'),
    (interval '4 days', 'b', '100% off_all', 'Sale', 'rejected'),
    (interval '3 days', NULL, 'pending', NULL, 'unconfirmed'),
    (interval '2 days', 'c', NULL, NULL, 'observed'),
    (interval '1 day', 'd', '100 percent', 'SPRING ', 'launched')
) AS given (age, tracking_id, name, label, submission);
INSERT INTO bi_campaign_facts (campaign_key, name, label) VALUES ('c', 'Console', 'Spring');
UPDATE campaigns SET finished_at = now() WHERE tracking_id = 'a'
"""


@pytest.fixture
async def database(connection: asyncpg.Connection, database: Database) -> Database:
    await connection.execute(_FILL)
    return database


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CampaignSearch(), ["d", "c", None, "b", "a"]),
        (CampaignSearch(name="προσφορας"), ["a"]),
        (CampaignSearch(name="0% OFF_"), ["b"]),
        (CampaignSearch(name="100_"), []),
        (CampaignSearch(name="console"), ["c"]),
        (CampaignSearch(label="spring"), ["d", "c", "a"]),
        (CampaignSearch(text="off"), ["b"]),
        (CampaignSearch(text="SPR"), ["d", "c", "a"]),
        (CampaignSearch(label="spring", submissions=(Submission.LAUNCHED,)), ["d", "a"]),
        (CampaignSearch(submissions=(Submission.UNCONFIRMED, Submission.REJECTED)), [None, "b"]),
        (CampaignSearch(name="nothing"), []),
    ],
)
async def test_campaigns_are_found_by_a_part_of_their_name_or_label(
    database: Database, wanted: CampaignSearch, found: list[str | None]
) -> None:
    page = await page_of_listed_campaigns(database, wanted, before=None, limit=10)
    assert [campaign.tracking_id for campaign in page.campaigns] == found
    assert page.end is None


async def test_campaigns_are_found_by_when_they_were_created(database: Database) -> None:
    now = datetime.now(UTC)
    wanted = CampaignSearch(
        created_since=now - timedelta(days=4, hours=1), created_before=now - timedelta(days=2)
    )
    page = await page_of_listed_campaigns(database, wanted, before=None, limit=10)
    assert [campaign.tracking_id for campaign in page.campaigns] == ["c", None, "b"]


@pytest.mark.parametrize("wanted", [CampaignSearch(), CampaignSearch(label="spring")])
@pytest.mark.parametrize("scanned", [2, 10_000])
async def test_the_pages_have_each_campaign_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, wanted: CampaignSearch, scanned: int
) -> None:
    monkeypatch.setattr(campaigns, "MAX_SCANNED_ITEMS", scanned)
    whole = await page_of_listed_campaigns(database, CampaignSearch(), before=None, limit=10)
    found: list[ListedCampaign] = []
    before = None
    for _ in range(9):
        page = await page_of_listed_campaigns(database, wanted, before=before, limit=1)
        assert page.looked_at <= scanned
        found += page.campaigns
        before = page.end
        if before is None:
            break
    assert found == [
        it for it in whole.campaigns if "spring" in (it.label or "").lower() or not any(wanted)
    ]


async def test_what_waits_is_listed_and_counted(
    database: Database, connection: asyncpg.Connection
) -> None:
    assert [it.tracking_id for it in await newest_unfinished(database, 10)] == ["d", "c"]
    assert [it.name for it in await newest_unconfirmed(database, 10)] == ["pending"]
    assert await count_unconfirmed(database) == (1, False)
    await connection.execute("""
        INSERT INTO quarantine (sha256, reason, path, body, replay_outcome)
        SELECT int4send(n), 'not-json', '/', '', (array[NULL, 'stored', 'failed'])[n % 3 + 1]
        FROM generate_series(1, 1500) n
    """)
    assert await count_unstored(database) == (1000, False)
    await connection.execute("UPDATE quarantine SET replay_outcome = NULL WHERE id = 1")
    assert (await count_unstored(database)).is_more == (
        await connection.fetchval(
            "SELECT count(*) > 1000 FROM quarantine WHERE replay_outcome IS DISTINCT FROM 'stored'"
        )
    )


async def test_a_label_is_known_if_a_message_has_it(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute("""
        INSERT INTO messages (message_tracking_id, label, status, status_key, provider_status,
            status_rank, status_at) VALUES ('m', 'spring', 'SENT', 'SENT', 'SENT', 2, now())
    """)
    assert await has_label(database, "spring")
    assert not await has_label(database, "sprin")
