import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.db.launching.launches import take_up
from app.db.tables import CampaignRow
from app.domain.campaign import Submission
from app.errors import LaunchInProgress, LaunchRejected, RouteeRefused, RouteeUnavailable
from app.sandbox.faults import (
    CUT_AFTER,
    CUT_BEFORE,
    Endpoint,
    InjectedFault,
    Slow,
    denied,
    too_many_requests,
)
from app.services.launching.attempts import LEASE, Attempt
from app.services.launching.settling import resolve
from tests.services.launching.launch_stage import API_KEY, Stage, request, set_up

CAMPAIGN = Endpoint.CAMPAIGN
NAME = "spring sale"


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    async with set_up(url) as stage:
        yield stage


def _asked_for(stage: Stage, name: str) -> int:
    return stage.routee.launches[name].requests if name in stage.routee.launches else 0


async def _die_at(stage: Stage, requests: int, doing: "asyncio.Task[object]", name: str) -> None:
    """Cancel *doing* when Routee has got so many requests: nobody settles what it began."""
    while _asked_for(stage, name) < requests:  # noqa: ASYNC110 (what it looks at tells nobody)
        await asyncio.sleep(0.01)
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)


@pytest.mark.parametrize("accepted_by", ["the first", "the second", "none"])
async def test_an_intent_both_of_whose_owners_died_is_taken_up_again(
    stage: Stage, accepted_by: str
) -> None:
    lost: tuple[InjectedFault, InjectedFault] = (
        Slow(5, handled=True) if accepted_by == "the first" else Slow(60, handled=False),
        Slow(5, handled=True) if accepted_by == "the second" else Slow(60, handled=False),
    )
    stage.routee.faults.script(CAMPAIGN, *lost)
    await _die_at(stage, 1, asyncio.create_task(stage.launch(campaignName=NAME)), NAME)
    await _die_at(stage, 2, asyncio.create_task(stage.some_time_later()), NAME)

    await stage.some_time_later()

    assert _asked_for(stage, NAME) == 3
    campaign = await stage.only_campaign()
    # A name that the caller chose proves nothing, so two of them are for a callback to settle.
    known = accepted_by == "none"
    assert campaign.submission == (Submission.LAUNCHED if known else Submission.UNCONFIRMED)
    assert stage.routee.launches[NAME].accepted == 1


async def test_an_orphan_does_not_wait_behind_repetitions(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, *[CUT_BEFORE] * 3, Slow(60, handled=False))
    for _ in range(3):
        await stage.launch()
    await _die_at(stage, 1, asyncio.create_task(stage.launch(campaignName=NAME)), NAME)
    await stage.connection.execute(
        "UPDATE campaigns SET lease_until = now() - interval '1 s', next_attempt_at = now()"
    )
    first = await take_up(stage.database, lease=LEASE)
    assert first is not None
    assert first.name == NAME


async def test_silent_launches_are_repeated_side_by_side(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, *[CUT_BEFORE] * 4, *[Slow(2, handled=True)] * 4)
    for _ in range(4):
        await stage.launch()
    async with asyncio.timeout(7):
        await stage.some_time_later()
    assert len(stage.routee.campaigns) == 4


async def _unanswered_twice(
    stage: Stage, first: InjectedFault, second: InjectedFault
) -> CampaignRow:
    stage.routee.faults.script(CAMPAIGN, first, second)
    campaign_id = await stage.launch(campaignName=NAME)
    await stage.some_time_later()
    return await stage.campaign(campaign_id)


@pytest.mark.parametrize("refusal", [None, denied(), too_many_requests()])
async def test_a_late_refusal_of_the_first_attempt_does_not_speak_for_the_second(
    stage: Stage, refusal: InjectedFault | None
) -> None:
    campaign = await _unanswered_twice(stage, CUT_BEFORE, CUT_AFTER)
    assert (campaign.submission, campaign.attempts) == (Submission.UNCONFIRMED, 2)
    # The process that made the first attempt stood still meanwhile; now Routee answers it.
    stage.routee.faults.script(CAMPAIGN, refusal, refusal)
    first = Attempt(campaign.id, NAME, name_generated=False, number=1)
    assert await stage.launching._attempts.make(first, request()) is None
    campaign = await stage.campaign(campaign.id)
    assert campaign.submission == Submission.UNCONFIRMED
    assert campaign.next_attempt_at is not None


async def test_a_late_silence_does_not_take_the_lease_of_another(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_BEFORE)
    campaign_id = await stage.launch(campaignName=NAME)
    await stage.connection.execute("UPDATE campaigns SET next_attempt_at = now()")
    assert await take_up(stage.database, lease=LEASE) is not None
    stage.routee.faults.script(CAMPAIGN, CUT_BEFORE)
    first = Attempt(campaign_id, NAME, name_generated=False, number=1)
    await stage.launching._attempts.make(first, request())
    assert (await stage.campaign(campaign_id)).lease_until is not None
    assert await take_up(stage.database, lease=LEASE) is None


async def test_a_refusal_is_not_reported_when_a_callback_has_proved_the_launch(
    stage: Stage,
) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER)
    campaign_id = await stage.launch(campaignName=NAME)
    await stage.connection.execute(
        "UPDATE campaigns SET submission = 'launched', tracking_id = 'routee-1'"
    )
    first = Attempt(campaign_id, NAME, name_generated=False, number=1)
    assert await stage.launching._attempts.make(first, request()) is None
    assert (await stage.campaign(campaign_id)).submission == Submission.LAUNCHED


@pytest.mark.parametrize("submission", [Submission.LAUNCHED, Submission.REJECTED])
async def test_a_launch_under_way_cannot_be_resolved(stage: Stage, submission: Submission) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_BEFORE)
    campaign_id = await stage.launch()
    await stage.connection.execute("UPDATE campaigns SET next_attempt_at = now()")
    assert await take_up(stage.database, lease=LEASE) is not None
    with pytest.raises(LaunchInProgress) as refusal:
        await resolve(stage.database, str(campaign_id), submission, routee_id=None)
    assert refusal.value.retry_after_seconds == LEASE.total_seconds()
    assert (await stage.campaign(campaign_id)).submission == Submission.UNCONFIRMED
    await stage.connection.execute("UPDATE campaigns SET lease_until = now() - interval '1 s'")
    await resolve(stage.database, str(campaign_id), submission, routee_id=None)
    assert (await stage.campaign(campaign_id)).submission == submission


async def test_the_key_of_an_unsent_launch_is_free_again(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, too_many_requests("7"))
    with pytest.raises(RouteeUnavailable) as silence:
        await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    assert silence.value.retry_after_seconds == 7
    launched = await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    assert not launched.replayed
    again = await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    assert (again.campaign_id, again.replayed) == (launched.campaign_id, True)
    assert len(stage.routee.campaigns) == 1


async def test_the_key_of_a_refused_launch_is_kept(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, denied(), denied())
    with pytest.raises(RouteeRefused):
        await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    with pytest.raises(LaunchRejected):
        await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")


@pytest.mark.parametrize(
    ("asked_for", "seconds"), [("5", 60), ("600", 600), ("999999999", 3600), (None, 60)]
)
async def test_a_repetition_waits_as_long_as_routee_asks(
    stage: Stage, asked_for: str | None, seconds: int
) -> None:
    campaign = await _unanswered_twice(stage, CUT_BEFORE, too_many_requests(asked_for))
    assert campaign.next_attempt_at is not None
    pause = campaign.next_attempt_at - campaign.updated_at
    assert pause == timedelta(seconds=seconds)
