"""Access tokens: how they are asked for, shared, renewed and given up."""

import asyncio
from dataclasses import dataclass

import pytest

from app.errors import RouteeTokenUnavailable
from app.routee.client import RouteeClient
from tests.routee.scripted_routee import (
    APPLICATION_SECRET,
    ScriptedRoutee,
    Step,
    late,
    says,
)


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def token(value: str, expires_in: object = 3600) -> Step:
    return says(200, {"access_token": value, "token_type": "bearer", "expires_in": expires_in})


async def read(client: RouteeClient) -> None:
    await client.track_message("m")


async def test_a_token_is_asked_for_as_routee_wants_it(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, {}))

    await read(client)

    (request,) = routee.token_requests
    assert request.method == "POST"
    assert request.body == b"grant_type=client_credentials"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    # base64 of "application-of-the-tests:secret-of-the-tests"
    assert request.headers["authorization"] == (
        "Basic YXBwbGljYXRpb24tb2YtdGhlLXRlc3RzOnNlY3JldC1vZi10aGUtdGVzdHM="
    )


@pytest.mark.parametrize(
    ("expires_in", "good_seconds", "over_seconds"),
    [
        (3600, 3539, 3541),
        ("3600", 3539, 3541),
        (100, 89, 91),
        ("100.0", 89, 91),
        (10**9, 10**9 - 61, 10**9 - 59),
        (None, 269, 271),
        ("soon", 269, 271),
        (True, 269, 271),
    ],
)
async def test_a_token_is_used_until_shortly_before_its_end(
    routee: ScriptedRoutee, expires_in: object, good_seconds: float, over_seconds: float
) -> None:
    clock = Clock()
    routee.will(says(200, {}))
    routee.will_give_tokens(token("first", expires_in), token("second"))
    async with routee.client(clock=clock) as client:
        await read(client)
        clock.seconds = 1000 + good_seconds
        await read(client)
        clock.seconds = 1000 + over_seconds
        await read(client)

    assert [call.headers["authorization"] for call in routee.calls] == [
        "Bearer first",
        "Bearer first",
        "Bearer second",
    ]


@pytest.mark.parametrize("expires_in", [0, -5, "0"])
async def test_a_token_without_any_life_left_is_used_once(
    routee: ScriptedRoutee, client: RouteeClient, expires_in: object
) -> None:
    routee.will(says(200, {}))
    routee.will_give_tokens(token("a", expires_in))

    await read(client)
    await read(client)

    assert len(routee.token_requests) == 2


async def test_an_endless_life_is_no_error(routee: ScriptedRoutee, client: RouteeClient) -> None:
    routee.will(says(200, {}))
    routee.will_give_tokens(says(200, b'{"access_token":"a","expires_in":1e999}'))

    await read(client)
    await read(client)

    assert len(routee.token_requests) == 1


async def test_concurrent_callers_share_one_request(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, {}))
    routee.will_give_tokens(late(0.1, token("shared")))

    await asyncio.gather(*(read(client) for _ in range(20)))

    assert len(routee.token_requests) == 1
    assert {call.headers["authorization"] for call in routee.calls} == {"Bearer shared"}


async def test_concurrently_refused_callers_share_one_renewal(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, {}))
    await read(client)
    routee.will(*(late(0.05, says(401)) for _ in range(10)), says(200, {}))

    await asyncio.gather(*(read(client) for _ in range(10)))

    assert len(routee.token_requests) == 2


async def test_a_cancelled_caller_does_not_stop_the_renewal_for_the_others(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, {}))
    routee.will_give_tokens(late(0.1, token("shared")))
    first = asyncio.create_task(read(client))
    second = asyncio.create_task(read(client))
    await asyncio.sleep(0.05)

    first.cancel()

    await second
    assert first.cancelled()
    assert len(routee.token_requests) == 1


async def test_a_renewal_that_fails_fails_for_all_and_is_tried_anew_afterwards(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, {}))
    routee.will_give_tokens(late(0.05, says(401, {"error": "unauthorized"})), token("good"))

    outcomes = await asyncio.gather(*(read(client) for _ in range(3)), return_exceptions=True)
    await read(client)

    assert [type(outcome) for outcome in outcomes] == [RouteeTokenUnavailable] * 3
    assert len(routee.token_requests) == 2


async def test_closing_the_client_ends_the_wait_for_a_token(routee: ScriptedRoutee) -> None:
    routee.will_give_tokens(late(5, token("too late")))
    client = routee.client()
    reading = asyncio.create_task(read(client))
    await asyncio.sleep(0.05)

    await client.aclose()

    with pytest.raises(RouteeTokenUnavailable, match="closed"):
        await reading


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "content",
    [
        {"error": "invalid_client", "error_description": "Bad credentials"},
        {"error": "invalid_client", "message": "Bad credentials"},
        b"<html>",
        b"",
    ],
)
async def test_refused_credentials_name_the_settings_and_are_not_tried_again(
    routee: ScriptedRoutee, client: RouteeClient, status: int, content: object
) -> None:
    routee.will_give_tokens(says(status, content))

    with pytest.raises(RouteeTokenUnavailable) as caught:
        await read(client)

    text = str(caught.value)
    assert "RECEIVER_ROUTEE_APPLICATION_ID" in text
    assert "RECEIVER_ROUTEE_APPLICATION_SECRET" in text
    assert f"HTTP {status}" in text
    if isinstance(content, dict):
        assert "invalid_client: Bad credentials" in text
    assert not caught.value.may_have_been_accepted
    assert not caught.value.temporary
    assert len(routee.token_requests) == 1


async def test_a_secret_that_the_token_service_quotes_is_not_repeated(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will_give_tokens(
        says(401, {"error": "x", "message": f"No application has {APPLICATION_SECRET}"})
    )

    with pytest.raises(RouteeTokenUnavailable, match=r"No application has \*\*\*"):
        await read(client)


@pytest.mark.parametrize("trouble", ["503", "429", "cut"])
async def test_a_token_is_asked_for_again_when_the_service_cannot_answer_now(
    routee: ScriptedRoutee, client: RouteeClient, trouble: str
) -> None:
    routee.will(says(200, {}))
    step = routee.hangs_up() if trouble == "cut" else says(int(trouble), b"busy")
    routee.will_give_tokens(step, step, token("good"))

    await read(client)

    assert len(routee.token_requests) == 3


async def test_a_dead_token_service_is_given_up_without_multiplying_the_attempts(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will_give_tokens(says(503, b""))

    with pytest.raises(RouteeTokenUnavailable) as caught:
        await read(client)

    assert caught.value.temporary
    assert not caught.value.may_have_been_accepted
    assert len(routee.token_requests) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token":""}',
        b'{"access_token":5}',
        b'{"access_token":"two\\nlines"}',
        '{"access_token":"é"}'.encode(),
    ],
)
async def test_an_answer_without_a_usable_token_is_no_token(
    routee: ScriptedRoutee, client: RouteeClient, content: bytes
) -> None:
    routee.will_give_tokens(says(200, content))

    with pytest.raises(RouteeTokenUnavailable, match="no usable access token"):
        await read(client)


async def test_a_wrong_address_of_the_token_service_names_its_setting(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will_give_tokens(says(404, b"<html>"))

    with pytest.raises(RouteeTokenUnavailable, match="RECEIVER_ROUTEE_AUTH_URL"):
        await read(client)


async def test_an_address_without_a_token_service_is_no_token(
    routee: ScriptedRoutee, unused_url: str
) -> None:
    async with routee.client(auth_url=unused_url) as client:
        with pytest.raises(RouteeTokenUnavailable) as caught:
            await read(client)

    assert caught.value.temporary
