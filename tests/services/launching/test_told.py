"""What the feed tells of launches, and what a launch keeps of when the campaign is over."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.db.feed.pages import NoticeItem
from app.domain.campaign import Submission
from app.errors import RouteeRefused
from app.sandbox.faults import CUT_AFTER, CUT_BEFORE, Endpoint, denied
from app.services.launching.settling import cancel, resolve
from tests.db.feed.feed_stage import Reader
from tests.services.launching.launch_stage import Stage, set_up

NAME = "spring sale"


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    async with set_up(url) as stage:
        yield stage


async def _told(stage: Stage, campaign: UUID) -> list[tuple[str, str | None]]:
    items = await Reader(stage.database).read()
    notices = [item for item in items if isinstance(item, NoticeItem)]
    assert {item.notice.campaign_id for item in notices} <= {campaign}
    known = (await stage.campaign(campaign)).tracking_id
    return [(item.notice.type, item.campaign_tracking_id and known) for item in notices]


async def test_a_launch_is_told_once_with_the_id_that_routee_gave(stage: Stage) -> None:
    campaign = await stage.launch(campaignName=NAME, label="spring")
    known = (await stage.campaign(campaign)).tracking_id
    assert known is not None
    (item,) = await Reader(stage.database).read()
    assert isinstance(item, NoticeItem)
    assert (item.notice.type, item.campaign_tracking_id) == ("campaign.launched", known)
    assert item.notice.data == {
        "campaignName": NAME, "label": "spring", "submissionReason": None,
    }  # fmt: skip
    await stage.some_time_later()
    assert await _told(stage, campaign) == [("campaign.launched", known)]


async def test_a_launch_that_is_not_certain_is_told_when_it_is(stage: Stage) -> None:
    stage.routee.faults.script(Endpoint.CAMPAIGN, CUT_BEFORE)
    campaign = await stage.launch(campaignName=NAME)
    assert await _told(stage, campaign) == []
    await stage.some_time_later()
    known = (await stage.campaign(campaign)).tracking_id
    assert await _told(stage, campaign) == [("campaign.launched", known)]


async def test_a_generated_name_that_is_taken_proves_a_launch_before_its_id_is_known(
    stage: Stage,
) -> None:
    stage.routee.faults.script(Endpoint.CAMPAIGN, CUT_AFTER)
    campaign = await stage.launch()
    await stage.some_time_later()
    assert (await stage.campaign(campaign)).submission == Submission.LAUNCHED
    assert [kind for kind, _ in await _told(stage, campaign)] == ["campaign.launched"]


async def test_a_refusal_is_told_with_its_reason(stage: Stage) -> None:
    stage.routee.faults.script(Endpoint.CAMPAIGN, denied(), denied())
    with pytest.raises(RouteeRefused):
        await stage.launch(campaignName=NAME)
    campaign = await stage.only_campaign()
    (item,) = await Reader(stage.database).read()
    assert isinstance(item, NoticeItem)
    assert item.notice.type == "campaign.rejected"
    assert item.notice.data["submissionReason"] == campaign.submission_reason
    assert campaign.submission_reason
    assert campaign.finished_at is not None


@pytest.mark.parametrize("submission", [Submission.LAUNCHED, Submission.REJECTED])
async def test_what_a_person_resolves_is_told(stage: Stage, submission: Submission) -> None:
    stage.routee.faults.script(Endpoint.CAMPAIGN, CUT_BEFORE)
    campaign = await stage.launch(campaignName=NAME)
    await resolve(stage.database, str(campaign), submission, routee_id=None)
    assert [kind for kind, _ in await _told(stage, campaign)] == [f"campaign.{submission}"]
    is_finished = (await stage.campaign(campaign)).finished_at is not None
    assert is_finished == (submission is Submission.REJECTED)


async def test_a_cancellation_is_told_once(stage: Stage) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    campaign = await stage.launch(campaignName=NAME, scheduledDate=later)
    for _ in range(2):
        await cancel(stage.database, stage.client, str(campaign))
    kinds = [kind for kind, _ in await _told(stage, campaign)]
    assert kinds == ["campaign.launched", "campaign.cancelled"]
    assert (await stage.campaign(campaign)).finished_at is not None


async def test_an_intent_whose_process_died_before_it_asked_is_told_as_rejected(
    stage: Stage,
) -> None:
    campaign: UUID = await stage.connection.fetchval(
        "INSERT INTO campaigns (submission, attempts, lease_until)"
        " VALUES ('launching', 0, now() - interval '1 s') RETURNING id"
    )
    await stage.launching.relaunch_due()
    assert await _told(stage, campaign) == [("campaign.rejected", None)]


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (lambda at: at.isoformat(), timedelta()),
        (lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%f+03:00"), timedelta(hours=-3)),
        (lambda at: at.strftime("%Y-%m-%dT%H:%MZ"), timedelta()),
    ],
)
async def test_a_launch_keeps_its_ttl_and_its_schedule(
    stage: Stage, written: Callable[[datetime], str], means: timedelta
) -> None:
    at = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    asked: dict[str, Any] = {"ttl": 600, "scheduledDate": written(at)}
    campaign = await stage.campaign(await stage.launch(campaignName=NAME, **asked))
    assert (campaign.ttl_seconds, campaign.scheduled_at) == (600, at + means)
    plain = await stage.campaign(await stage.launch(campaignName="plain"))
    assert (plain.ttl_seconds, plain.scheduled_at) == (None, None)
