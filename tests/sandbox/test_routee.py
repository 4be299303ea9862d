import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.sandbox.behaviour import Behaviour
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.tracking import RateLimit

from .stage import (
    APPLICATION_ID,
    APPLICATION_SECRET,
    expire_token,
    staged,
    staged_in_process,
    staged_routee,
)

#: Routee-contract, section 2.
ANSWER_NAMES = {
    *("trackingId", "type", "state", "createdAt", "senderInfoTrackingId", "senderInfoName", "to"),
    *("groups", "campaignName", "scheduledDate", "body", "ttl", "cost", "totalMessages"),
    *("viberAnalysis", "callbackUrl", "inboundUrl", "label", "isSessionMessage"),
    "respectQuietHours",
}
ANALYSIS_NAMES = {
    *("numberOfRecipients", "recipientsPerCountry", "recipientCountries", "recipientsPerGroup"),
    *("totalInGroups", "contacts", "bodyAnalysis"),
}
#: Routee-contract, section 5.
ITEM_NAMES = {
    *("trackingId", "to", "from", "groups", "country", "status", "campaign"),
    *("campaignTrackingId", "applicationName", "originatingService", "direction", "ttl"),
    *("message", "viberAction", "imageUrl", "viberFile", "viberVideo", "price", "sessionId"),
    *("sessionMessage", "expireOnDelivery"),
}


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def test_a_token_is_given_for_the_right_credentials_and_handed_out_again() -> None:
    async with staged() as stage:
        first, second = await stage.token(), await stage.token()

        assert set(first.json()) == {
            *("access_token", "token_type", "expires_in", "scope", "permissions")
        }
        assert first.json()["access_token"] == second.json()["access_token"]
        assert 3500 < second.json()["expires_in"] <= 3600


@pytest.mark.parametrize(
    ("auth", "grant", "status", "error"),
    [
        ((APPLICATION_ID, "wrong"), "client_credentials", 401, "unauthorized"),
        (("wrong", APPLICATION_SECRET), "client_credentials", 401, "unauthorized"),
        (("", ""), "client_credentials", 401, "unauthorized"),
        ((APPLICATION_ID, APPLICATION_SECRET), "password", 400, "unsupported_grant_type"),
    ],
)
async def test_a_token_error_has_its_own_shape(
    auth: tuple[str, str], grant: str, status: int, error: str
) -> None:
    async with staged() as stage:
        answer = await stage.api.post("/oauth/token", data={"grant_type": grant}, auth=auth)

        assert answer.status_code == status
        assert answer.json()["error"] == error
        assert set(answer.json()) == {"error", "error_description"}


async def test_an_unknown_token_opens_nothing() -> None:
    async with staged() as stage:
        for authorization in ("", "Bearer unknown", "Basic abc", "Bearer"):
            stage.headers["Authorization"] = authorization

            answers = [
                await stage.launch(),
                await stage.get("/viber/tracking/some"),
                await stage.get("/viber/tracking/campaign/some"),
                await stage.delete("/viber/campaign/some"),
            ]

            assert {answer.status_code for answer in answers} == {401}
        assert not stage.routee.campaigns


async def test_a_token_is_dead_after_its_lifetime() -> None:
    routee = SimulatedRoutee(
        behaviour=Behaviour(),
        application_id=APPLICATION_ID,
        application_secret=APPLICATION_SECRET,
        token_lifetime_seconds=0.3,
    )
    async with staged_routee(routee) as stage:
        assert (await stage.get("/viber/tracking/some")).status_code == 404
        await asyncio.sleep(0.35)
        assert (await stage.get("/viber/tracking/some")).status_code == 401

        await stage.fetch_token()
        assert (await stage.get("/viber/tracking/some")).status_code == 404


async def test_a_token_that_was_made_to_expire_opens_nothing_until_it_is_renewed() -> None:
    async with staged_in_process() as stage:
        before = stage.headers["Authorization"]
        expire_token(stage.routee)
        assert (await stage.launch()).status_code == 401

        await stage.fetch_token()
        assert stage.headers["Authorization"] != before
        assert (await stage.launch()).status_code == 200


async def test_a_lifetime_that_is_set_counts_from_the_next_token() -> None:
    async with staged_in_process() as stage:
        stage.routee.tokens.lifetime_seconds = 60
        assert (await stage.token()).json()["expires_in"] > 3500

        expire_token(stage.routee)
        assert (await stage.token()).json()["expires_in"] == 60


async def test_without_viber_every_resource_says_which_form_is_missing() -> None:
    async with staged_in_process() as stage:
        stage.routee.account.is_viber_activated = False
        answers = [
            await stage.launch(),
            await stage.get("/viber/tracking/some"),
            await stage.get("/viber/tracking/campaign/some"),
            await stage.delete("/viber/campaign/some"),
        ]

        assert {answer.status_code for answer in answers} == {403}
        for answer in answers:
            assert "Viber Application Form" in answer.json()["developerMessage"]
        assert not stage.routee.campaigns
        stage.routee.account.is_viber_activated = True
        assert (await stage.launch()).status_code == 200


async def test_an_accepted_campaign_is_answered_in_the_documented_names() -> None:
    async with staged() as stage:
        numbers = ["+306912345678", "+35799123456", "+306912345679", "+999123456"]
        answer = (await stage.launch(to=numbers)).json()

        assert set(answer) == ANSWER_NAMES
        assert set(answer["viberAnalysis"]) == ANALYSIS_NAMES
        assert answer["state"] == "Queued"
        assert answer["totalMessages"] == answer["viberAnalysis"]["numberOfRecipients"] == 4
        assert answer["cost"] == 0.14
        assert answer["viberAnalysis"]["recipientsPerCountry"] == {"GR": 2, "CY": 1, "ZZ": 1}
        assert answer["viberAnalysis"]["recipientCountries"]["+35799123456"] == "CY"
        assert answer["body"] == stage.request()["body"]
        assert answer["callbackUrl"] == stage.request()["callbackUrl"]
        assert answer["trackingId"] in stage.routee.campaigns


async def test_contacts_and_members_of_groups_are_counted_as_recipients() -> None:
    async with staged() as stage:
        answer = (await stage.launch(to=[], contacts=["a", "b"], groups=["customers"])).json()

        assert answer["totalMessages"] == 5
        assert answer["viberAnalysis"]["recipientsPerGroup"] == {"customers": 3}
        assert answer["viberAnalysis"]["totalInGroups"] == 3
        assert set(answer["viberAnalysis"]["contacts"]) == {"a", "b"}


async def test_a_request_that_is_no_json_object_or_cannot_be_echoed_is_refused() -> None:
    unwritable = (b'{"body":{"text":"\\ud800"}}', b'{"body":{"text":"a"},"label":NaN}')
    async with staged() as stage:
        for content in (b"", b"{", b"[]", b"\xff", b"null", *unwritable):
            answer = await stage.api.post("/viber/campaign", content=content, headers=stage.headers)

            assert answer.status_code == 400
            assert answer.json()["code"] == "400000000"


async def test_a_campaign_lowers_the_balance_and_the_last_cent_can_be_spent() -> None:
    async with staged() as stage:
        stage.routee.account.balance = Decimal("0.07")
        await stage.launched(2)

        assert stage.routee.account.balance == 0


async def test_campaigns_without_a_name_do_not_collide() -> None:
    async with staged() as stage:
        await stage.launched(campaignName=None)
        await stage.launched(campaignName=None)

        assert len(stage.routee.campaigns) == 2


async def test_tracking_a_message_answers_its_final_status_in_the_other_spelling() -> None:
    async with staged(lost_share=1) as stage:
        campaign = await stage.launched(100)

        for message in campaign.messages.values():
            item = (await stage.get(f"/viber/tracking/{message.tracking_id}")).json()
            assert set(item) == ITEM_NAMES
            assert set(item["status"]) == {"status", "date", "reason"}
            assert item["status"]["status"] == message.final.status
            assert datetime.fromisoformat(item["status"]["date"]) == message.final.occurred_at
            assert item["campaignTrackingId"] == campaign.tracking_id
            assert item["to"] == message.to


async def test_tracking_a_campaign_gives_each_message_once_in_pages() -> None:
    async with staged() as stage:
        campaign = await stage.launched(45)
        path = f"/viber/tracking/campaign/{campaign.tracking_id}"
        pages = [(await stage.get(f"{path}?page={n}&size=20")).json() for n in range(3)]

        ids = [item["trackingId"] for page in pages for item in page["content"]]
        assert ids == list(campaign.messages)
        assert [page["numberOfElements"] for page in pages] == [20, 20, 5]
        assert [page["first"] for page in pages] == [True, False, False]
        assert [page["last"] for page in pages] == [False, False, True]
        assert {page["totalPages"] for page in pages} == {3}
        assert {page["totalElements"] for page in pages} == {45}
        assert (await stage.get(path)).json() == pages[0]


async def test_a_page_beyond_the_last_is_empty() -> None:
    async with staged() as stage:
        campaign = await stage.launched(3)
        path = f"/viber/tracking/campaign/{campaign.tracking_id}?page=7"

        assert (await stage.get(path)).json() == {
            "content": [],
            "totalPages": 1,
            "last": True,
            "totalElements": 3,
            "first": False,
            "numberOfElements": 0,
            "size": 20,
            "number": 7,
        }


async def test_tracking_a_campaign_can_be_sorted_either_way() -> None:
    async with staged() as stage:
        campaign = await stage.launched(50)
        path = f"/viber/tracking/campaign/{campaign.tracking_id}?size=50"
        rising = (await stage.get(f"{path}&sort=date")).json()["content"]
        falling = (await stage.get(f"{path}&sort=date,desc")).json()["content"]

        dates = [item["status"]["date"] for item in rising]
        assert dates == sorted(dates)
        assert [item["status"]["date"] for item in falling] == dates[::-1]


async def test_an_invalid_page_is_refused() -> None:
    async with staged() as stage:
        campaign = await stage.launched()
        for query in ("page=-1", "size=0", "page=one"):
            answer = await stage.get(f"/viber/tracking/campaign/{campaign.tracking_id}?{query}")

            assert answer.status_code == 400


async def test_a_size_beyond_the_limit_counts_as_the_limit() -> None:
    async with staged() as stage:
        campaign = await stage.launched()
        path = f"/viber/tracking/campaign/{campaign.tracking_id}?size=5000"

        assert (await stage.get(path)).json()["size"] == 1000


async def test_tracking_reads_above_the_rate_are_answered_429() -> None:
    async with staged(tracking_per_second=2) as stage:
        answers = [await stage.get("/viber/tracking/unknown") for _ in range(3)]

        # The third one is late if this takes a second.
        assert [answer.status_code for answer in answers[:2]] == [404, 404]
        assert answers[2].status_code in {404, 429}


def test_the_rate_counts_the_last_second() -> None:
    times = iter([0.0, 0.1, 0.2, 1.05, 1.06])
    limit = RateLimit(2, clock=lambda: next(times))

    assert [limit.allows() for _ in range(5)] == [True, True, False, True, False]


async def test_unknown_ids_cannot_be_tracked() -> None:
    async with staged() as stage:
        assert (await stage.get("/viber/tracking/unknown")).status_code == 404
        unknown = await stage.get("/viber/tracking/campaign/unknown")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "404009001")


async def test_a_scheduled_campaign_can_be_deleted_and_is_never_sent() -> None:
    async with staged() as stage:
        stage.routee.account.balance = Decimal(1)
        campaign = await stage.launched(2, scheduledDate=in_an_hour())
        path = f"/viber/campaign/{campaign.tracking_id}"

        assert campaign.state == "Scheduled"
        assert not campaign.messages
        assert (await stage.delete(path)).status_code == 204
        assert (await stage.delete(path)).json()["code"] == "404009001"
        assert stage.routee.account.balance == 1
        await stage.launched(2)


async def test_a_campaign_that_has_begun_cannot_be_deleted() -> None:
    async with staged() as stage:
        campaign = await stage.launched()
        answer = await stage.delete(f"/viber/campaign/{campaign.tracking_id}")

        assert (answer.status_code, answer.json()["code"]) == (400, "400009002")
        assert campaign.tracking_id in stage.routee.campaigns


async def test_a_scheduled_campaign_begins_at_its_time() -> None:
    async with staged() as stage:
        soon = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
        campaign = await stage.launched(5, scheduledDate=soon)
        assert campaign.state == "Scheduled"
        async with asyncio.timeout(30):
            while not campaign.messages:  # noqa: ASYNC110 (the ledger has no event)
                await asyncio.sleep(0.02)
        await stage.drained()

        assert campaign.state == "Queued"
        assert stage.receiver.statuses


async def test_a_date_in_the_past_is_sent_at_once() -> None:
    async with staged() as stage:
        campaign = await stage.launched(scheduledDate="2020-01-01T00:00:00+02:00")

        assert campaign.state == "Queued"


async def test_closing_cancels_scheduled_campaigns_and_may_be_done_twice() -> None:
    async with staged() as stage:
        soon = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
        campaign = await stage.launched(scheduledDate=soon)
        await stage.routee.aclose()
        await stage.routee.aclose()
        await asyncio.sleep(0.4)

        assert not campaign.messages
