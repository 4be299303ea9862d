import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.db.ingest import IngestSession
from app.db.launching.binding import Claim
from app.db.launching.binding import claim as claim_campaign
from app.domain.campaign import Submission
from app.errors import (
    CampaignNameInUse,
    CampaignNotCancellable,
    CampaignNotUnconfirmed,
    DatabaseUnavailable,
    IdempotencyKeyReused,
    InvalidRequest,
    LaunchingNotConfigured,
    LaunchInProgress,
    LaunchRejected,
    NotFound,
    RouteeRefused,
    RouteeUnavailable,
)
from app.routee.rules import is_generated
from app.sandbox.faults import (
    CUT_AFTER,
    CUT_BEFORE,
    Endpoint,
    Slow,
    denied,
    garbage,
    server_error,
    too_many_requests,
)
from app.services.launching.attempts import LEASE
from app.services.launching.settling import cancel, resolve
from tests.services.launching.launch_stage import API_KEY, Stage, request, set_up

CAMPAIGN = Endpoint.CAMPAIGN


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    async with set_up(url) as stage:
        yield stage


def _accepted(stage: Stage, name: str | None) -> int:
    assert name is not None
    return stage.routee.launches[name].accepted


async def _claim(url: str, campaign: object, tracking_id: str) -> Claim:
    session = IngestSession(url, statement_timeout_seconds=5)
    async with session.connected() as connection:
        claim = await claim_campaign(connection, campaign.id, tracking_id)  # type: ignore[attr-defined]
    await session.close()
    return claim


async def test_an_accepted_campaign_is_launched_with_what_routee_said(stage: Stage) -> None:
    campaign = await stage.campaign(await stage.launch())
    assert campaign.submission == Submission.LAUNCHED
    assert campaign.tracking_id in stage.routee.campaigns
    assert campaign.expected_messages == 2
    assert campaign.cost == Decimal("0.07")
    assert campaign.name is not None
    assert is_generated(campaign.name)


@pytest.mark.parametrize(
    "fault",
    [
        CUT_BEFORE,
        CUT_AFTER,
        server_error(),
        server_error(handled=True),
        garbage(),
        Slow(1.5, handled=True),
    ],
    ids=["cut before", "cut after", "500", "500 after", "garbage", "slow"],
)
async def test_an_unanswered_launch_is_unconfirmed_and_then_launched_once(
    stage: Stage, fault: object
) -> None:
    stage.routee.faults.script(CAMPAIGN, fault)  # type: ignore[arg-type]
    campaign = await stage.campaign(await stage.launch())
    assert campaign.submission == Submission.UNCONFIRMED
    assert campaign.next_attempt_at is not None
    assert campaign.next_attempt_at - campaign.updated_at >= timedelta(seconds=29)

    await stage.some_time_later()

    campaign = await stage.campaign(campaign.id)
    assert campaign.submission == Submission.LAUNCHED
    assert _accepted(stage, campaign.name) == 1


async def test_nothing_is_repeated_before_its_time(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_BEFORE)
    campaign = await stage.campaign(await stage.launch())
    await stage.launching.relaunch_due()
    assert stage.routee.launches[str(campaign.name)].requests == 1


async def test_a_generated_name_in_use_proves_that_it_was_accepted(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER)
    campaign_id = await stage.launch()
    await stage.some_time_later()
    campaign = await stage.campaign(campaign_id)
    assert campaign.submission == Submission.LAUNCHED
    assert campaign.tracking_id is None


async def test_its_first_callback_reports_the_tracking_id(stage: Stage, url: str) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER)
    campaign = await stage.campaign(await stage.launch())
    [tracking_id] = stage.routee.campaigns

    assert await _claim(url, campaign, tracking_id) is Claim.OWN

    campaign = await stage.campaign(campaign.id)
    assert (campaign.submission, campaign.tracking_id) == (Submission.LAUNCHED, tracking_id)
    await stage.some_time_later()
    assert stage.routee.launches[str(campaign.name)].requests == 1


async def test_a_given_name_in_use_stays_unconfirmed_until_it_is_resolved(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER)
    campaign_id = await stage.launch(campaignName="spring sale")
    await stage.some_time_later()
    await stage.some_time_later()
    campaign = await stage.campaign(campaign_id)
    assert campaign.submission == Submission.UNCONFIRMED
    assert stage.routee.launches["spring sale"].requests == 2


async def test_a_refused_repetition_proves_nothing_about_the_first_attempt(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER)
    campaign = await stage.campaign(await stage.launch())
    stage.routee.faults.script(CAMPAIGN, denied(403), denied(403))
    await stage.some_time_later()
    assert (await stage.campaign(campaign.id)).submission == Submission.UNCONFIRMED
    await stage.some_time_later()
    assert (await stage.campaign(campaign.id)).submission == Submission.LAUNCHED
    assert _accepted(stage, campaign.name) == 1


async def test_repetitions_end_and_leave_it_unconfirmed(stage: Stage) -> None:
    stage.routee.faults.sometimes(CAMPAIGN, {CUT_BEFORE: 1})
    campaign = await stage.campaign(await stage.launch())
    for _ in range(12):
        await stage.some_time_later()
    campaign = await stage.campaign(campaign.id)
    assert campaign.submission == Submission.UNCONFIRMED
    assert campaign.next_attempt_at is None
    assert stage.routee.launches[str(campaign.name)].requests == 8


async def test_an_intent_whose_owner_died_is_taken_up(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, Slow(5, handled=True))
    dying = asyncio.create_task(stage.launch())
    while not stage.routee.campaigns:  # noqa: ASYNC110 (the simulator has no event for it)
        await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    campaign = await stage.only_campaign()
    assert campaign.submission == Submission.LAUNCHING
    assert campaign.lease_until is not None
    assert campaign.lease_until - campaign.created_at == LEASE < timedelta(seconds=60)

    await stage.some_time_later()

    campaign = await stage.campaign(campaign.id)
    assert campaign.submission == Submission.LAUNCHED
    assert _accepted(stage, campaign.name) == 1


async def test_an_intent_whose_owner_died_before_asking_is_dropped_and_its_key_free(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def _dies(*_: object) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("app.services.launching.launches.begin", _dies)
        with pytest.raises(asyncio.CancelledError):
            await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    await stage.some_time_later()
    assert (await stage.only_campaign()).submission == Submission.REJECTED
    assert not stage.routee.launches
    again = await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    assert not again.replayed


async def test_a_launch_in_doubt_is_answered_with_where_to_look(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def _in_doubt(*_: object) -> bool:
        raise DatabaseUnavailable

    monkeypatch.setattr("app.services.launching.launches.begin", _in_doubt)
    with pytest.raises(LaunchInProgress) as told:
        await stage.launch()
    campaign = await stage.only_campaign()
    assert f"/v1/campaigns/{campaign.id}" in str(told.value)
    assert not stage.routee.launches


async def test_a_callback_proves_that_a_rejected_campaign_was_accepted(
    stage: Stage, url: str
) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER)
    campaign_id = await stage.launch()
    await resolve(stage.database, str(campaign_id), Submission.REJECTED, routee_id=None)
    [tracking_id] = stage.routee.campaigns
    await _claim(url, await stage.campaign(campaign_id), tracking_id)
    assert (await stage.campaign(campaign_id)).submission == Submission.LAUNCHED


async def test_an_open_launch_is_taken_up_by_one_process_only(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, *[CUT_BEFORE] * 5)
    campaigns = [await stage.campaign(await stage.launch()) for _ in range(5)]
    await stage.connection.execute("UPDATE campaigns SET next_attempt_at = now()")
    await asyncio.gather(*(stage.launching.relaunch_due() for _ in range(4)))
    requests = [stage.routee.launches[str(campaign.name)].requests for campaign in campaigns]
    assert requests == [2] * 5


async def test_a_refusal_of_the_first_attempt_is_a_rejection_and_frees_the_name(
    stage: Stage,
) -> None:
    stage.routee.account.balance = Decimal(0)
    with pytest.raises(RouteeRefused) as refusal:
        await stage.launch(campaignName="spring")
    assert refusal.value.code == "400001009"
    assert (await stage.only_campaign()).submission == Submission.REJECTED
    stage.routee.account.balance = Decimal(100)
    await stage.launch(campaignName="spring")


@pytest.mark.parametrize("fault", [too_many_requests()], ids=["429"])
async def test_what_certainly_was_not_accepted_is_rejected(stage: Stage, fault: object) -> None:
    stage.routee.faults.script(CAMPAIGN, fault)  # type: ignore[arg-type]
    with pytest.raises(RouteeUnavailable):
        await stage.launch()
    assert (await stage.only_campaign()).submission == Submission.REJECTED


async def test_a_name_in_use_at_routee_or_here_is_a_conflict(stage: Stage) -> None:
    await stage.launch(campaignName="taken")
    with pytest.raises(CampaignNameInUse):
        await stage.launch(campaignName="taken")
    await stage.connection.execute("DELETE FROM campaigns")
    with pytest.raises(CampaignNameInUse):
        await stage.launch(campaignName="taken")
    assert _accepted(stage, "taken") == 1


async def test_faults_are_found_before_anything_is_sent(stage: Stage) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await stage.launch(to=["nonsense"], ttl=1, lable="x")
    assert {fault.field for fault in refusal.value.faults} == {"to[0]", "ttl", "lable"}
    assert not stage.routee.launches
    assert await stage.connection.fetchval("SELECT count(*) FROM campaigns") == 0


async def test_without_its_settings_nothing_is_launched(url: str) -> None:
    async with set_up(url, configured=False) as stage:
        with pytest.raises(LaunchingNotConfigured, match="RECEIVER_PUBLIC_URL"):
            await stage.launch()


async def test_the_same_key_and_request_launch_once(stage: Stage) -> None:
    one, two = [
        await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
        for _ in range(2)
    ]
    assert one.campaign_id == two.campaign_id
    assert (one.replayed, two.replayed) == (False, True)
    assert len(stage.routee.campaigns) == 1


async def test_members_in_another_order_are_the_same_request(stage: Stage) -> None:
    backwards = dict(reversed(request().items()))
    for said in (request(), backwards):
        await stage.launching.launch(said, api_key_id=API_KEY, idempotency_key="a")
    assert len(stage.routee.campaigns) == 1


async def test_another_request_under_the_same_key_is_a_mistake(stage: Stage) -> None:
    await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    with pytest.raises(IdempotencyKeyReused):
        await stage.launching.launch(request(ttl=600), api_key_id=API_KEY, idempotency_key="a")


async def test_twins_at_the_same_moment_launch_once(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, Slow(0.5, handled=True))
    twins = await asyncio.gather(
        *(
            stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
            for _ in range(5)
        ),
        return_exceptions=True,
    )
    assert len(stage.routee.campaigns) == 1
    in_progress = [twin for twin in twins if isinstance(twin, LaunchInProgress)]
    assert len(in_progress) == 4
    assert all(twin.retry_after_seconds for twin in in_progress)


async def test_a_refused_launch_is_not_asked_for_again_under_its_key(stage: Stage) -> None:
    stage.routee.account.balance = Decimal(0)
    with pytest.raises(RouteeRefused):
        await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    with pytest.raises(LaunchRejected, match="balance"):
        await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")


async def test_an_invalid_request_leaves_its_key_free(stage: Stage) -> None:
    with pytest.raises(InvalidRequest):
        await stage.launching.launch(request(ttl=1), api_key_id=API_KEY, idempotency_key="a")
    await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")


async def test_a_key_is_forgotten_after_a_week(stage: Stage) -> None:
    await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    await stage.connection.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '8 days'"
    )
    await stage.launching.forget_old_keys()
    again = await stage.launching.launch(request(), api_key_id=API_KEY, idempotency_key="a")
    assert not again.replayed


async def test_a_person_can_say_what_became_of_a_launch(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_AFTER, CUT_BEFORE)
    accepted, lost = await stage.launch(), await stage.launch()
    [tracking_id] = stage.routee.campaigns
    await resolve(stage.database, str(accepted), Submission.LAUNCHED, routee_id=tracking_id)
    await resolve(stage.database, str(lost), Submission.REJECTED, routee_id=None)
    campaign = await stage.campaign(accepted)
    assert (campaign.submission, campaign.tracking_id) == (Submission.LAUNCHED, tracking_id)
    assert (await stage.campaign(lost)).submission == Submission.REJECTED
    with pytest.raises(CampaignNotUnconfirmed):
        await resolve(stage.database, str(lost), Submission.LAUNCHED, routee_id=None)
    with pytest.raises(NotFound):
        await resolve(stage.database, "nothing", Submission.LAUNCHED, routee_id=None)


async def test_a_scheduled_campaign_can_be_cancelled_and_cancelled_again(stage: Stage) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    campaign_id = await stage.launch(scheduledDate=later)
    for _ in range(2):
        await cancel(stage.database, stage.client, str(campaign_id))
        assert (await stage.campaign(campaign_id)).submission == Submission.CANCELLED


async def test_a_campaign_that_is_being_sent_cannot_be_cancelled(stage: Stage) -> None:
    campaign_id = await stage.launch()
    with pytest.raises(RouteeRefused) as refusal:
        await cancel(stage.database, stage.client, str(campaign_id))
    assert refusal.value.code == "400009002"
    assert (await stage.campaign(campaign_id)).submission == Submission.LAUNCHED


async def test_a_campaign_without_tracking_id_cannot_be_cancelled(stage: Stage) -> None:
    stage.routee.faults.script(CAMPAIGN, CUT_BEFORE)
    campaign_id = await stage.launch()
    with pytest.raises(CampaignNotCancellable):
        await cancel(stage.database, stage.client, str(campaign_id))
