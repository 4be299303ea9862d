import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from app.db.campaigns import NO_TIMES
from app.db.dashboard.campaigns import CampaignSearch
from app.db.database import Database
from app.db.tables import CampaignProgressRow, CampaignRow
from app.domain.campaign import Submission
from app.domain.explained_words import SUBMISSIONS
from app.errors import NotFound
from app.services.dashboard import awaited
from app.services.dashboard.awaited import page_of_awaited
from app.services.dashboard.campaign import (
    CampaignStory,
    campaign_story,
    get_campaign_row,
    request_as_launched,
)
from app.services.dashboard.campaigns import page_of_counted_campaigns
from app.services.dashboard.launch_history import launch_history
from tests.db.bi.story import make_campaigns, store_in_batches, story

_CREATED = datetime(2026, 7, 1, tzinfo=UTC)
_NUMBERS = [f"+30694{number:07}" for number in range(60)]


def _row(**values: Any) -> CampaignRow:  # noqa: ANN401
    columns = {
        "created_at": _CREATED, "submission": "launched", "attempts": 1, "name_generated": False,
    }  # fmt: skip
    return CampaignRow(**(columns | values))


async def _story(database: Database, tracking_id: str) -> CampaignStory:
    return await campaign_story(database, await get_campaign_row(database, tracking_id))


async def test_a_campaign_is_told_by_its_trackingid_and_by_our_id(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 2, messages=80), random.Random(2))  # noqa: S311
    found = await _story(database, "known")
    assert (await _story(database, str(ours[0]))).counts == found.counts
    row = await connection.fetchrow(
        "SELECT * FROM bi_v1.campaigns WHERE campaign_tracking_id = 'known'"
    )
    assert row is not None
    assert (found.total, found.arrived) == (row["messages"], row["delivered_or_seen"])
    assert (found.seen, found.figures.price) == (row["seen"], row["price"])
    assert found.failed == found.figures.failed
    assert found.row.cost == Decimal("12.345")
    assert found.unfinished == found.total - found.arrived - found.failed
    with pytest.raises(NotFound):
        await _story(database, "unknown")


async def test_a_campaign_without_trackingid_has_a_story(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    found = await _story(database, str(ours[1]))
    assert (found.total, found.replies.number, found.unfinished) == (0, 0, 0)
    assert SUBMISSIONS[Submission.UNCONFIRMED].text in " ".join(step.text for step in found.history)


async def test_a_list_of_campaigns_has_their_counts(
    database: Database, connection: asyncpg.Connection
) -> None:
    ours = await make_campaigns(connection)
    await store_in_batches(connection, story(ours, 2, messages=80), random.Random(2))  # noqa: S311
    page = await page_of_counted_campaigns(database, CampaignSearch(), before=None, limit=10)
    for item in page.items:
        row = await connection.fetchrow(
            "SELECT * FROM bi_v1.campaigns WHERE campaign_id = $1", str(item.campaign.id)
        )
        assert row is not None
        if item.campaign.tracking_id is not None:
            assert sum(item.counts.values()) == item.expected == row["messages"] > 0
    assert len(page.items) == 4


@pytest.mark.parametrize("looked_at", [7, 10_000])
async def test_awaited_are_those_of_the_request_without_a_message(
    database: Database,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    looked_at: int,
) -> None:
    monkeypatch.setattr(awaited, "MAX_LOOKED_AT", looked_at)
    request = json.dumps({"to": [*_NUMBERS, _NUMBERS[0]]}).encode()
    await connection.execute(
        "INSERT INTO campaigns (tracking_id, submission, request) VALUES ('c', 'launched', $1)",
        request,
    )
    await connection.executemany(
        "INSERT INTO messages (message_tracking_id, campaign_tracking_id, recipient, status,"
        " status_key, provider_status, status_rank, status_at)"
        " VALUES ($1, 'c', $1, 'SENT', 'SENT', 'SENT', 2, now())",
        [(number,) for number in _NUMBERS[:40:2]],
    )
    campaign = await get_campaign_row(database, "c")
    found, after = [], 0
    for _ in range(50):
        page = await page_of_awaited(database, campaign, after=after, limit=3)
        found += [(one.position, one.number) for one in page.recipients]
        if page.end is None:
            break
        after = page.end
    expected = [*_NUMBERS[1:40:2], *_NUMBERS[40:]]
    assert found == [(_NUMBERS.index(number) + 1, number) for number in expected]
    await connection.execute("UPDATE campaigns SET submission = 'rejected'")
    campaign = await get_campaign_row(database, "c")
    assert await page_of_awaited(database, campaign, limit=3) == ((), None)


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        (
            {"name": "Spring", "expected_messages": 1200},
            [
                "A program asked this service to launch it under the name “Spring”.",
                "Routee was asked for it once.",
                SUBMISSIONS[Submission.LAUNCHED].text,
                "Routee announced 1,200 messages.",
            ],
        ),
        (
            {
                "name": "n", "name_generated": True, "submission": "unconfirmed", "attempts": 3,
                "submission_reason": "no answer", "next_attempt_at": _CREATED + timedelta(hours=1),
            },
            [
                ("A program asked this service to launch it under the name “n”, which this service"
                " made up."),
                "Routee was asked for it 3 times.",
                f"{SUBMISSIONS[Submission.UNCONFIRMED].text} The reason: no answer",
                "Routee is asked again, under the same name.",
            ],
        ),
        (
            {"submission": "observed", "finished_at": _CREATED + timedelta(days=1)},
            [
                "It became known by a callback: it was not launched here.",
                "It was finished: nothing more is to come but late callbacks.",
            ],
        ),
    ],
)  # fmt: skip
def test_the_history_of_a_launch_is_told_in_sentences(
    values: dict[str, Any], sentences: list[str]
) -> None:
    assert [step.text for step in launch_history(_row(**values), NO_TIMES, [])] == sentences


def test_what_routee_reports_is_quoted_in_the_order_of_time() -> None:
    report = CampaignProgressRow(
        ordered_at=_CREATED + timedelta(hours=1), status="Running", message_statuses={"Sent": 1000}
    )
    steps = launch_history(_row(submission="observed"), NO_TIMES, [report])
    assert steps[1].text == ("Routee reported of the campaign as a whole: “Running” (1,000 Sent).")


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (None, ""),
        (b"\xff{", "\ufffd{"),
        (b'{"to":["a"]}', '{\n  "to": [\n    "a"\n  ]\n}'),
        (b"[" * 30_000, "[" * 20_000),
        (json.dumps({"to": list("abc") * 10}).encode(), "… and 10 more"),
    ],
)
def test_the_request_is_shown_whatever_it_is(request_: bytes | None, shown: str) -> None:
    assert shown in request_as_launched(_row(request=request_))
