"""A finished campaign over HTTP, in its list, in an export and in the view of analysts."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from app.db.bi.roll_up import roll_up_events
from app.db.database import Database
from app.domain.api_key import Scope
from app.services.finishing import finish_due
from tests.api.conftest import Loop, Service, new_id, progress, running
from tests.conftest import fresh_database

ENDED = ("finished", "finishedAt", "overdue", "firstEventAt", "lastEventAt")


@pytest.fixture
def alone(loop: Loop, server_url: str) -> Iterator[Service]:
    with fresh_database(server_url) as url, running(loop, url) as alone:
        yield alone


async def _duties(url: str) -> None:
    database = Database(url, name="tests", pool_items=3)
    await roll_up_events(database)
    await finish_due(database)
    await database.close()


def _shown(service: Service, campaign: str) -> dict[str, Any]:
    """What all calls say of its end, which is the same."""
    one = service.read(f"/v1/campaigns/{campaign}")
    (listed,) = service.read("/v1/campaigns")["items"]
    status = service.read(f"/v1/status/{campaign}")
    answer = service.get("/v1/exports/campaigns?format=ndjson", Scope.ADMIN)
    exported = json.loads(answer.text)
    shown: dict[str, Any] = {name: one[name] for name in ENDED}
    for other in (listed, status, exported):
        assert {name: other[name] for name in ENDED} == shown
    return shown


def _report(service: Service, campaign: str, message: str, word: str, at: str) -> None:
    status = {"name": word, "updatedDate": at}
    service.stored(progress(trackingId=message, campaignTrackingId=campaign, status=status))


def test_a_campaign_says_alike_everywhere_whether_it_is_finished(
    alone: Service, loop: Loop
) -> None:
    campaign, first, second = new_id(), new_id(), new_id()
    _report(alone, campaign, first, "SEEN", "2026-03-02T10:00:00Z")
    _report(alone, campaign, second, "QUEUED", "2026-03-01T09:00:00Z")
    loop.run(_duties(alone.database_url))
    assert _shown(alone, campaign) == {
        "finished": False,
        "finishedAt": None,
        "overdue": 0,
        "firstEventAt": "2026-03-01T09:00:00Z",
        "lastEventAt": "2026-03-02T10:00:00Z",
    }
    alone.sql("UPDATE campaigns SET created_at = now() - interval '20 days'")
    alone.sql("UPDATE bi_campaign_facts SET last_created_at = NULL")
    while not alone.read(f"/v1/campaigns/{campaign}")["finished"]:
        loop.run(_duties(alone.database_url))  # in vain while the service is at it
    ended = _shown(alone, campaign)
    assert ended["overdue"] == 1
    (view,) = alone.sql("SELECT finished, finished_at, overdue FROM bi_v1.campaigns")
    assert tuple(view) == (True, datetime.fromisoformat(ended["finishedAt"]), 1)
    items = alone.read(f"/v1/events?campaignTrackingId={campaign}&type=campaign.finished")["items"]
    (told,) = [item["data"] for item in items]
    assert (told["total"], told["finalCount"], told["overdue"]) == (2, 1, 1)
    _report(alone, campaign, second, "DELIVERED", "2026-03-03T11:00:00Z")
    loop.run(_duties(alone.database_url))
    late = _shown(alone, campaign)
    assert late["lastEventAt"] == "2026-03-03T11:00:00Z"
    assert (late["finishedAt"], late["overdue"]) == (ended["finishedAt"], 0)
