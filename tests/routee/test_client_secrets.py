"""No secret leaves the client: not in logs, exceptions or representations."""

import base64
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.typing import EventDict

from app.domain.masking import SecretMask
from app.errors import RouteeError, RouteeRefused
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


CALLBACK_SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
CAMPAIGN_TOKEN = "01a20921-8794-7924-9021-d8658f6eb8ed." + "0f1e2d3c4b5a6978" * 4
BASIC = base64.b64encode(f"{APPLICATION_ID}:{APPLICATION_SECRET}".encode()).decode()
ECHOED = (
    APPLICATION_ID, APPLICATION_SECRET, BASIC, "token-1", CALLBACK_SECRET, CAMPAIGN_TOKEN
)  # fmt: skip
ECHOES: dict[str, Callable[[str], str]] = {
    "as they are": str,
    "in capitals": str.upper,
    "percent": lambda text: "".join(f"%{ord(one):02X}" for one in text),
    "full width": lambda text: "".join(chr(ord(one) + 0xFEE0) for one in text),
    "entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
}


def _without_echoes(text: str) -> bool:
    spelt = [echo(secret).lower() for echo in ECHOES.values() for secret in ECHOED]
    return not any(one in text.lower() for one in spelt)


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_a_refusal_that_echoes_secrets_shows_none(
    routee: ScriptedRoutee, echo: Callable[[str], str]
) -> None:
    said = "; ".join(map(echo, ECHOED))
    refusal = {
        "code": "400019002",
        "developerMessage": f"refused: {said}",
        "properties": {f"a {said}": f"b {said}"},
        "errors": [{"field": f"c {said}", "message": f"d {said}"}],
    }
    routee.will(says(400, refusal))
    async with routee.client(mask=SecretMask([CALLBACK_SECRET])) as client:
        error = await fail(client)
    assert isinstance(error, RouteeRefused)
    assert error.code == "400019002"
    assert (error.developer_message or "").startswith("refused: ***")
    assert _without_echoes(
        f"{error}{error.developer_message}{error.properties}{error.faults}{error.detail}"
    )


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_an_accepted_launch_and_a_read_that_echo_secrets_keep_none(
    routee: ScriptedRoutee, echo: Callable[[str], str]
) -> None:
    said = {"trackingId": "c", "label": "; ".join(map(echo, ECHOED)), "cost": 0.1}
    routee.will(says(200, said))
    async with routee.client(mask=SecretMask([CALLBACK_SECRET])) as client:
        answer = await client.launch_campaign({"to": [NUMBER]})
        read = await client.track_message("m")
    assert answer.tracking_id == "c"
    assert _without_echoes(f"{answer.body.decode()}{answer.payload}{read}")
    assert "***" in answer.payload["label"]


async def test_a_token_that_is_handed_out_again_is_still_usable(routee: ScriptedRoutee) -> None:
    routee.will_give_tokens(says(200, {"access_token": "token-again-1", "expires_in": 0}))
    routee.will(says(200, {"trackingId": "m", "status": "token-again-1"}))
    async with routee.client() as client:
        for _ in range(2):
            assert (await client.track_message("m"))["status"] == "***"


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_a_token_service_that_echoes_the_credentials_shows_none(
    routee: ScriptedRoutee, client: RouteeClient, echo: Callable[[str], str]
) -> None:
    said = "; ".join(map(echo, ECHOED[:3]))
    routee.will_give_tokens(says(401, {"error": said, "error_description": said}))
    error = await fail(client)
    assert _without_echoes(f"{error}{error.detail}")
