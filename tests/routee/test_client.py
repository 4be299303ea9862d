"""The calls of the client, over real sockets."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import pytest

from app.errors import ConfigurationError, RouteeRefused, RouteeTokenUnavailable, RouteeUnavailable
from app.routee.client import RouteeClient
from app.routee.exchange import Patience
from app.routee.launch_answer import LaunchAnswer
from app.routee.refusals import Meaning
from tests.routee.scripted_routee import (
    ScriptedRoutee,
    Step,
    breaks_off,
    late,
    says,
    trickles,
)

REQUEST = {"senderInfoTrackingId": "sender", "to": ["+306912345678"], "body": {"text": "Hi"}}
LAUNCHED = (
    b'{"trackingId":"62d4a3cc","type":"Viber","state":"Queued",'
    b'"createdAt":"2019-07-05T10:28:44.566Z","scheduledDate":null,"senderInfoName":"Routeetest",'
    b'"campaignName":"Spring","cost":0.1000000000000000055511151231,"totalMessages":2,'
    b'"viberAnalysis":{"numberOfRecipients":"2"},"price":[1.10]}'
)
NAME_IN_USE = {"code": "409009003", "developerMessage": "Campaign name exists"}
NOT_FOUND = {"code": "404009001", "developerMessage": "Campaign not found"}
NOT_SCHEDULED = {"code": 400009002, "developerMessage": "Campaign is not scheduled"}


async def launch(client: RouteeClient) -> LaunchAnswer:
    return await client.launch_campaign(REQUEST)


async def test_a_launch_posts_the_request_as_json_with_a_bearer_token(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, LAUNCHED))

    await client.launch_campaign({"body": {"text": "Γειά"}, "ttl": 300, "x": Decimal("0.10")})

    (call,) = routee.calls
    assert (call.method, call.target) == ("POST", "/viber/campaign")
    assert call.body == '{"body":{"text":"Γειά"},"ttl":300,"x":0.10}'.encode()
    assert call.headers["content-type"] == "application/json"
    assert call.headers["authorization"] == "Bearer token-1"
    assert call.headers["user-agent"] == f"routee-receiver/{version('routee-receiver')}"


async def test_the_answer_to_a_launch_is_read_without_losing_a_digit_or_a_byte(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(201, LAUNCHED))

    answer = await launch(client)

    assert answer.tracking_id == "62d4a3cc"
    assert answer.state == "Queued"
    assert answer.created_at == datetime(2019, 7, 5, 10, 28, 44, 566000, tzinfo=UTC)
    assert answer.scheduled_at is None
    assert answer.campaign_name == "Spring"
    assert answer.sender_name == "Routeetest"
    assert answer.total_messages == 2
    assert answer.number_of_recipients == 2
    assert answer.cost == Decimal("0.1000000000000000055511151231")
    assert answer.http_status == 201
    assert answer.body == LAUNCHED
    assert str(answer.payload["price"][0]) == "1.10"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"trackingId":null,"totalMessages":-1,"viberAnalysis":[],"cost":"x"}']
)
async def test_any_2xx_is_an_acceptance_and_missing_or_unreadable_fields_are_none(
    routee: ScriptedRoutee, client: RouteeClient, content: bytes
) -> None:
    routee.will(says(202, content))

    answer = await launch(client)

    assert answer.body == content
    assert {
        answer.tracking_id,
        answer.state,
        answer.created_at,
        answer.total_messages,
        answer.number_of_recipients,
        answer.cost,
    } == {None}


@pytest.mark.parametrize("content", [b"<html>Welcome</html>", b"[]", b'"ok"', b"\xff"])
async def test_a_2xx_that_is_no_json_object_leaves_a_launch_unconfirmed(
    routee: ScriptedRoutee, client: RouteeClient, content: bytes
) -> None:
    routee.will(says(200, content))

    with pytest.raises(RouteeUnavailable) as caught:
        await launch(client)

    assert caught.value.may_have_been_accepted
    assert len(routee.calls) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 408, 302])
async def test_a_launch_without_a_definite_answer_is_unconfirmed_and_not_repeated(
    routee: ScriptedRoutee, client: RouteeClient, status: int
) -> None:
    routee.will(says(status, {"developerMessage": "Sorry"}))

    with pytest.raises(RouteeUnavailable) as caught:
        await launch(client)

    assert caught.value.may_have_been_accepted
    assert caught.value.http_status == status
    assert len(routee.calls) == 1


CUTS: dict[str, Callable[[ScriptedRoutee], Step]] = {
    "no answer": lambda _: late(2, says(200, LAUNCHED)),
    "an answer that trickles": lambda _: trickles(b" ", pieces=10, seconds=0.2),
    "half an answer": lambda _: breaks_off(LAUNCHED[:50], announced_bytes=len(LAUNCHED)),
    "a cut connection": lambda routee: routee.hangs_up(),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_launch_that_is_cut_off_is_unconfirmed_and_not_repeated(
    routee: ScriptedRoutee, client: RouteeClient, cut: str
) -> None:
    routee.will(CUTS[cut](routee))

    with pytest.raises(RouteeUnavailable) as caught:
        await launch(client)

    assert caught.value.may_have_been_accepted
    assert len(routee.calls) == 1


async def test_a_launch_that_found_no_connection_was_not_accepted(
    routee: ScriptedRoutee, unused_url: str
) -> None:
    async with routee.client(api_url=unused_url) as client:
        with pytest.raises(RouteeUnavailable, match="No connection") as caught:
            await launch(client)

    assert not caught.value.may_have_been_accepted
    assert caught.value.temporary


async def test_a_launch_that_is_one_too_many_was_not_accepted_and_says_when_to_come_back(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(429, {"code": "429000000"}, headers={"Retry-After": "7"}))

    with pytest.raises(RouteeUnavailable) as caught:
        await launch(client)

    assert not caught.value.may_have_been_accepted
    assert caught.value.retry_after_seconds == 7
    assert len(routee.calls) == 1


@pytest.mark.parametrize(("status", "accepted"), [(404, False), (413, False), (400, True)])
async def test_a_refusal_that_is_not_in_routees_words_counts_only_where_the_status_is_clear(
    routee: ScriptedRoutee, client: RouteeClient, status: int, *, accepted: bool
) -> None:
    routee.will(says(status, b"<html>nginx</html>"))

    with pytest.raises(RouteeUnavailable) as caught:
        await launch(client)

    assert caught.value.may_have_been_accepted is accepted
    assert not caught.value.temporary


async def test_a_refused_launch_says_why(routee: ScriptedRoutee, client: RouteeClient) -> None:
    routee.will(says(409, NAME_IN_USE))

    with pytest.raises(RouteeRefused) as caught:
        await launch(client)

    assert caught.value.meaning == Meaning.CAMPAIGN_NAME_IN_USE
    assert caught.value.code == "409009003"
    assert len(routee.calls) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_stale_token_is_renewed_and_the_launch_repeated_once(
    routee: ScriptedRoutee, client: RouteeClient, status: int
) -> None:
    routee.will(says(status, b""), says(200, LAUNCHED))

    answer = await launch(client)

    assert answer.tracking_id == "62d4a3cc"
    assert [call.headers["authorization"] for call in routee.calls] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_refused_twice_is_given_up(
    routee: ScriptedRoutee, client: RouteeClient, status: int
) -> None:
    routee.will(says(status, b""))

    with pytest.raises(RouteeRefused) as caught:
        await launch(client)

    assert caught.value.meaning == Meaning.ACCESS_DENIED
    assert caught.value.http_status == status
    assert (len(routee.calls), len(routee.token_requests)) == (2, 2)


async def test_an_account_without_viber_gets_a_hint_to_the_application_form(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(403, {"code": "403000000", "developerMessage": "Viber is not enabled"}))

    with pytest.raises(RouteeRefused, match="Viber Application Form") as caught:
        await launch(client)

    assert caught.value.meaning == Meaning.VIBER_NOT_ACTIVATED


async def test_a_launch_that_waits_too_long_for_a_token_was_not_accepted(
    routee: ScriptedRoutee,
) -> None:
    routee.will_give_tokens(late(0.3, says(200, {"access_token": "a"})))

    async with routee.client(patience=Patience(launch_seconds=0.1)) as client:
        with pytest.raises(RouteeTokenUnavailable, match="in time") as caught:
            await launch(client)

    assert not caught.value.may_have_been_accepted
    assert caught.value.temporary
    assert routee.calls == []


async def test_a_launch_that_is_repeated_with_a_new_token_still_ends_in_time(
    routee: ScriptedRoutee,
) -> None:
    routee.will(late(0.2, says(401, b"")), late(0.4, says(200, LAUNCHED)))

    async with routee.client(patience=Patience(launch_seconds=0.4)) as client:
        with pytest.raises(RouteeUnavailable) as caught:
            await launch(client)

    assert caught.value.may_have_been_accepted
    assert len(routee.calls) == 2


async def test_a_launch_whose_token_cannot_be_renewed_was_not_accepted(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(401, b""))
    routee.will_give_tokens(says(200, {"access_token": "a"}), says(401, {"error": "unauthorized"}))

    with pytest.raises(RouteeTokenUnavailable) as caught:
        await launch(client)

    assert not caught.value.may_have_been_accepted
    assert len(routee.calls) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_read_is_repeated_when_routee_cannot_answer_now(
    routee: ScriptedRoutee, client: RouteeClient, status: int
) -> None:
    routee.will(says(status, b""), routee.hangs_up(), says(200, {"trackingId": "m", "price": 0.1}))

    message = await client.track_message("m")

    assert message["price"] == Decimal("0.1")
    assert len(routee.calls) == 3


async def test_a_read_is_given_up_after_the_last_attempt(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(503, b""))

    with pytest.raises(RouteeUnavailable):
        await client.track_message("m")

    assert len(routee.calls) == 4


async def test_a_read_waits_as_long_as_routee_asks(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(429, b"", headers={"Retry-After": "1"}), says(200, {"trackingId": "m"}))
    started = asyncio.get_running_loop().time()

    await client.track_message("m")

    assert 1 <= asyncio.get_running_loop().time() - started < 2
    assert len(routee.calls) == 2


async def test_a_pause_that_is_too_long_is_left_to_the_caller(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(503, b"", headers={"Retry-After": "3600"}))

    with pytest.raises(RouteeUnavailable) as caught:
        await client.track_message("m")

    assert caught.value.retry_after_seconds == 3600
    assert len(routee.calls) == 1


async def test_a_refused_read_is_not_repeated(routee: ScriptedRoutee, client: RouteeClient) -> None:
    routee.will(says(404, {"code": "404000000"}))

    with pytest.raises(RouteeRefused) as caught:
        await client.track_message("m")

    assert caught.value.meaning == Meaning.NOT_FOUND
    assert len(routee.calls) == 1


async def test_a_read_that_cannot_be_read_is_not_repeated(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, b"<html>"))

    with pytest.raises(RouteeUnavailable):
        await client.track_message("m")

    assert len(routee.calls) == 1


@pytest.mark.parametrize(
    ("tracking_id", "segment"),
    [("a/b?c#d %é", "a%2Fb%3Fc%23d%20%25%C3%A9"), ("..", "%2E%2E"), ("1.2", "1.2")],
)
async def test_ids_are_percent_encoded(
    routee: ScriptedRoutee, client: RouteeClient, tracking_id: str, segment: str
) -> None:
    routee.will(says(200, {}))

    await client.track_message(tracking_id)
    await client.delete_campaign(tracking_id)

    assert [call.target for call in routee.calls] == [
        f"/viber/tracking/{segment}",
        f"/viber/campaign/{segment}",
    ]


async def test_an_empty_id_is_refused_before_it_means_another_endpoint(
    client: RouteeClient,
) -> None:
    with pytest.raises(ValueError, match="empty"):
        await client.delete_campaign("")


async def test_a_page_of_a_campaign_is_read_again_after_a_failure(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    page = {"content": [{"trackingId": "1"}, "odd"], "last": False}
    routee.will(says(500, b""), says(200, page))

    assert await client.track_page("c/1", number=1, page_size=2) == page
    assert {call.target for call in routee.calls} == {
        "/viber/tracking/campaign/c%2F1?page=1&size=2"
    }


@pytest.mark.parametrize("status", [200, 204])
async def test_a_campaign_is_deleted(
    routee: ScriptedRoutee, client: RouteeClient, status: int
) -> None:
    routee.will(says(status, b""))

    await client.delete_campaign("c")

    assert [(call.method, call.target) for call in routee.calls] == [
        ("DELETE", "/viber/campaign/c")
    ]


@pytest.mark.parametrize(
    ("status", "content", "meaning"),
    [
        (404, NOT_FOUND, Meaning.CAMPAIGN_NOT_FOUND),
        (400, NOT_SCHEDULED, Meaning.CAMPAIGN_NOT_SCHEDULED),
    ],
)
async def test_a_refused_deletion_says_why(
    routee: ScriptedRoutee, client: RouteeClient, status: int, content: object, meaning: Meaning
) -> None:
    routee.will(says(status, content))

    with pytest.raises(RouteeRefused) as caught:
        await client.delete_campaign("c")

    assert caught.value.meaning == meaning


async def test_a_campaign_that_is_gone_after_an_unanswered_deletion_was_deleted(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(routee.hangs_up(), says(404, NOT_FOUND))

    await client.delete_campaign("c")

    assert len(routee.calls) == 2


async def test_whether_an_unanswered_deletion_came_in_time_is_not_guessed(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(routee.hangs_up(), says(400, NOT_SCHEDULED))

    with pytest.raises(RouteeUnavailable) as caught:
        await client.delete_campaign("c")

    assert caught.value.may_have_been_accepted


async def test_a_deletion_that_may_have_worked_stays_so_when_a_later_attempt_finds_no_way(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(routee.hangs_up(), says(429, b"", headers={"Retry-After": "999"}))

    with pytest.raises(RouteeUnavailable) as caught:
        await client.delete_campaign("c")

    assert caught.value.may_have_been_accepted


async def test_redirects_are_not_followed(routee: ScriptedRoutee, client: RouteeClient) -> None:
    routee.will(says(307, b"", headers={"Location": "/elsewhere"}))

    with pytest.raises(RouteeUnavailable) as caught:
        await launch(client)

    assert not caught.value.may_have_been_accepted
    assert [call.target for call in routee.calls] == ["/viber/campaign"]


async def test_the_patience_is_the_callers(routee: ScriptedRoutee) -> None:
    routee.will(late(0.6, says(200, {"trackingId": "m"})))

    async with routee.client(patience=Patience(answer_seconds=5)) as client:
        assert (await client.track_message("m"))["trackingId"] == "m"


@pytest.mark.parametrize("setting", ["api_url", "auth_url"])
@pytest.mark.parametrize("url", ["", "connect.example", "https://", "https://x:y", "http://x/?y"])
def test_an_unusable_address_is_found_before_the_first_call(
    routee: ScriptedRoutee, setting: str, url: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"RECEIVER_ROUTEE_{setting.upper()}"):
        routee.client(**{setting: url})
