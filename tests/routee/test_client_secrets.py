"""No secret leaves the client: not in logs, exceptions or representations."""

import logging
import traceback
from collections.abc import Iterator

import pytest
import structlog
from structlog.typing import EventDict

from app.errors import RouteeError
from app.routee.client import RouteeClient
from tests.routee.scripted_routee import APPLICATION_ID, APPLICATION_SECRET, ScriptedRoutee, says

NUMBER = "+306900000001"
SECRETS = (
    APPLICATION_SECRET,
    "YXBwbGljYXRpb24tb2YtdGhlLXRlc3RzOnNlY3JldC1vZi10aGUtdGVzdHM",
    "token-1",
    "token-2",
    "Bearer",
    NUMBER.removeprefix("+"),
)
REFUSAL = {"code": "400019002", "errorCode": "001", "developerMessage": f"{NUMBER} is malformed"}


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator["Logs"]:
    """All that is logged, down to debug, by structlog and by libraries."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")
    with structlog.testing.capture_logs() as events:
        yield Logs(events, caplog)


class Logs:
    def __init__(self, events: list[EventDict], caplog: pytest.LogCaptureFixture) -> None:
        self.events = events
        self._caplog = caplog

    def __str__(self) -> str:
        return f"{self.events}\n{self._caplog.text}"


def assert_nothing_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


async def fail(client: RouteeClient) -> RouteeError:
    with pytest.raises(RouteeError) as caught:
        await client.launch_campaign({"to": [NUMBER]})
    return caught.value


def shown(error: BaseException) -> str:
    """With all that a log could show of it, local variables included."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "".join(lines) + repr(error)


def test_a_client_does_not_show_its_credentials(routee: ScriptedRoutee) -> None:
    text = repr(routee.client(api_url="https://user:password@connect.example"))

    assert text == "<RouteeClient connect.example>"
    assert APPLICATION_ID not in text


async def test_logs_have_no_secret(routee: ScriptedRoutee, logs: Logs) -> None:
    routee.will(says(401), says(503, REFUSAL), says(200, {"to": NUMBER}))
    async with routee.client() as client:
        await client.track_message("m")
        routee.will(says(400, REFUSAL))
        await fail(client)

    events = [event["event"] for event in logs.events]
    assert "Routee access token renewed" in events
    assert "Routee refused the access token" in events
    assert "stamina.retry_scheduled" in events
    assert "HTTP Request" in str(logs)
    assert_nothing_secret(str(logs))


@pytest.mark.parametrize("trouble", ["cut", "refused", "unavailable", "no token"])
async def test_no_exception_shows_a_secret(
    routee: ScriptedRoutee, client: RouteeClient, trouble: str
) -> None:
    steps = {
        "cut": routee.hangs_up(),
        "refused": says(400, REFUSAL),
        "unavailable": says(503, REFUSAL),
        "no token": says(401),
    }
    routee.will(steps[trouble])
    if trouble == "no token":
        routee.will_give_tokens(says(401, {"error": APPLICATION_SECRET}))

    error = await fail(client)

    assert_nothing_secret(f"{error}{error!r}")
    lines = "".join(traceback.format_exception(error))
    assert_nothing_secret(lines.replace(NUMBER, ""))


async def test_an_exception_does_not_show_secrets_among_local_variables(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(routee.hangs_up())

    error = await fail(client)

    assert [secret for secret in SECRETS[:-1] if secret in shown(error)] == []


async def test_an_answer_does_not_show_its_body(
    routee: ScriptedRoutee, client: RouteeClient
) -> None:
    routee.will(says(200, {"trackingId": "c", "to": [NUMBER], "callbackUrl": "secret"}))

    answer = await client.launch_campaign({"to": [NUMBER]})

    assert "trackingId" in answer.payload
    assert NUMBER not in repr(answer)
    assert "secret" not in repr(answer)
