"""Every row of Routee's error table: known before it is asked where that is possible, and after."""

import logging
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from app.domain.campaign import Submission
from app.errors import InvalidRequest, RouteeRefused, RouteeUnavailable
from app.routee.client import RouteeClient
from app.routee.refusals import ADVICE, Meaning
from app.routee.repeats import Repeats
from app.routee.rules import examine, sendable
from app.sandbox.behaviour import Behaviour
from app.sandbox.body_rules import LARGE_FILE_URL_PART
from app.sandbox.faults import Endpoint, InjectedFault, denied
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.rules import UNKNOWN_CONTACT_ID, UNKNOWN_SENDER_ID
from app.sandbox.serving import listening_socket, served, url_of
from app.services.launching.attempts import Attempt
from tests.routee.rules.requests import (
    ACTION,
    FILE,
    IMAGE,
    NOW,
    TEXT,
    VIDEO,
    request,
    with_body,
    with_changed,
)
from tests.sandbox.stage import expire_token
from tests.services.launching.launch_stage import API_KEY, QUICK, SECRET, Stage, set_up

Document = dict[str, Any]


class Row(NamedTuple):
    """What is asked for, how Routee refuses it, and what we know of that beforehand."""

    request: Document
    http_status: int
    code: str
    error_code: str | None
    meaning: Meaning
    #: The field that Routee's refusal is pinned to; None: to none.
    field: str | None = None
    #: The field that we find fault with ourselves; None: only Routee can know.
    found_at: str | None = None


def _long(url: str) -> str:
    return url + "x" * 1000


def _session(*parts: Document) -> Document:
    return with_body(*parts) | {"isSessionMessage": True}


BODY, FIELD = "400019002", "400000000"
ROWS = {
    "recipient malformed": Row(
        request(to=["+306912345678", "306912345679"]),
        *(400, BODY, "001", Meaning.RECIPIENT_MALFORMED, "to", "to[1]"),
    ),
    "recipient with a blank": Row(
        request(to=["+30 69"]),
        *(400, BODY, "001", Meaning.RECIPIENT_MALFORMED, "to", "to[0]"),
    ),
    "layout: nothing": Row(
        request(body={}), *(400, BODY, "007", Meaning.LAYOUT_NOT_SUPPORTED, "body", "body")
    ),
    "layout: text and image": Row(
        with_body(TEXT, IMAGE),
        *(400, BODY, "007", Meaning.LAYOUT_NOT_SUPPORTED, "body", "body"),
    ),
    "layout: file and action": Row(
        with_body(FILE, ACTION),
        *(400, BODY, "007", Meaning.LAYOUT_NOT_SUPPORTED, "body", "body"),
    ),
    "video layout: with an action": Row(
        with_body(VIDEO, TEXT, ACTION),
        *(400, BODY, None, Meaning.VIDEO_LAYOUT_NOT_SUPPORTED, "body.viberVideo", "body"),
    ),
    "video layout: with an image alone": Row(
        with_body(VIDEO, IMAGE),
        *(400, BODY, None, Meaning.VIDEO_LAYOUT_NOT_SUPPORTED, "body.viberVideo", "body"),
    ),
    "video in a session message": Row(
        _session(VIDEO),
        *(400, BODY, None, Meaning.VIDEO_IN_SESSION_MESSAGE, "isSessionMessage", "body"),
    ),
    "file over 600 KB": Row(
        with_changed(FILE, fileUrl=f"https://media.example/{LARGE_FILE_URL_PART}.pdf"),
        *(400, BODY, "016", Meaning.FILE_TOO_LARGE, "body.viberFile", None),
    ),
    "file type": Row(
        with_changed(FILE, fileType="exe"),
        *(400, BODY, "019", Meaning.FILE_TYPE_NOT_SUPPORTED),
        *("body.viberFile.fileType", "body.viberFile.fileType"),
    ),
    "session message of another kind": Row(
        _session(TEXT, ACTION),
        *(400, BODY, "020", Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED),
        *("isSessionMessage", "body"),
    ),
    "image URL invalid": Row(
        with_body({"imageURL": "https://"}),
        *(400, FIELD, None, Meaning.IMAGE_URL_INVALID, "body.imageURL", "body.imageURL"),
    ),
    "image URL too long": Row(
        with_body({"imageURL": _long("https://media.example/")}),
        *(400, FIELD, None, Meaning.IMAGE_URL_INVALID, "body.imageURL", "body.imageURL"),
    ),
    "image URL not https": Row(
        with_body({"imageURL": "http://media.example/a.png"}),
        *(400, FIELD, None, Meaning.IMAGE_URL_INVALID, "body.imageURL", "body.imageURL"),
    ),
    "ttl too long": Row(
        request(ttl=86_401), *(400, FIELD, None, Meaning.TTL_TOO_LONG, "ttl", "ttl")
    ),
    "thumbnail too long": Row(
        with_changed(VIDEO, videoThumbnail=_long("https://media.example/")),
        *(400, FIELD, None, Meaning.THUMBNAIL_TOO_LONG),
        *("body.viberVideo.videoThumbnail", "body.viberVideo.videoThumbnail"),
    ),
    "contact unknown": Row(
        request(to=[], contacts=[UNKNOWN_CONTACT_ID]),
        *(404, "404002001", None, Meaning.CONTACT_NOT_FOUND, "contacts"),
    ),
    "sender unknown": Row(
        request(senderInfoTrackingId=UNKNOWN_SENDER_ID),
        *(404, "404020001", None, Meaning.SENDER_NOT_FOUND, "senderInfoTrackingId"),
    ),
}
#: Routee's one text for both is the simulator's invention, so only the code can be relied on.
VIDEO_BOUNDS = {
    "video over 200 MB": (with_changed(VIDEO, fileSize=200.01), "body.viberVideo.fileSize"),
    "video over 600 s": (with_changed(VIDEO, duration=601), "body.viberVideo.duration"),
}
KNOWN_BEFORE = {name: row for name, row in ROWS.items() if row.found_at}


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged(
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[None]:
    """Whatever a test here makes us write is searched for credentials and numbers."""
    staged = [request.getfixturevalue(one) for one in {"stage", "line"} & {*request.fixturenames}]
    with caplog.at_level("DEBUG"):
        yield
    said = capfd.readouterr()
    records = [one for one in caplog.get_records("call") if one.name != "uvicorn.access"]
    logged = "\n".join([said.out, said.err, *map(logging.Formatter().format, records)])
    # Its example of a number is the one that the requests here go to.
    logged = logged.replace(ADVICE[Meaning.RECIPIENT_MALFORMED], "")
    secrets = [SECRET, "306912345678", "306912345679", "3069450000"]
    secrets += [one.routee.tokens._token for one in staged if one.routee.tokens._token]
    assert [secret for secret in secrets if secret in logged] == []


class Line(NamedTuple):
    """A client and its Routee, without us in between."""

    routee: SimulatedRoutee
    client: RouteeClient


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    routee = SimulatedRoutee(
        behaviour=Behaviour(held=True), application_id="id", application_secret=SECRET
    )
    listening = listening_socket()
    client = RouteeClient(
        api_url=url_of(listening),
        auth_url=url_of(listening),
        application_id="id",
        application_secret=SECRET,
        patience=QUICK,
        repeats=Repeats(attempts=2, first_pause_seconds=0.01, max_pause_seconds=0.02),
    )
    async with served(routee.app, listening):
        yield Line(routee, client)
        await routee.aclose()
    await client.aclose()


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    async with set_up(url) as stage:
        yield stage


def _sent(document: Document, name: str = "a campaign") -> Document:
    return sendable(
        document,
        name=name,
        callback_url="http://127.0.0.1:9/callbacks/x/status",
        inbound_url="http://127.0.0.1:9/callbacks/x/inbound",
    )


async def _refusal(client: RouteeClient, document: Document) -> RouteeRefused:
    with pytest.raises(RouteeRefused) as caught:
        await client.launch_campaign(_sent(document))
    return caught.value


@pytest.mark.parametrize("name", KNOWN_BEFORE)
def test_the_examination_finds_documented_refusals_with_routees_codes(name: str) -> None:
    row = KNOWN_BEFORE[name]
    faults = examine(row.request, now=NOW).faults
    assert (row.found_at, row.code, row.error_code) in [
        (fault.field, fault.code, fault.error_code) for fault in faults
    ]
    assert all(fault.message for fault in faults)


@pytest.mark.parametrize("name", VIDEO_BOUNDS)
def test_the_examination_knows_the_limits_of_a_video(name: str) -> None:
    document, field = VIDEO_BOUNDS[name]
    (fault,) = examine(document, now=NOW).faults
    assert (fault.field, fault.code, fault.error_code) == (field, FIELD, None)


async def test_a_fault_that_the_examination_finds_costs_no_call(stage: Stage) -> None:
    seen = _counting(stage.routee)
    for document in [
        *(row.request for row in KNOWN_BEFORE.values()),
        *(document for document, _ in VIDEO_BOUNDS.values()),
    ]:
        with pytest.raises(InvalidRequest):
            await stage.launching.launch(document, api_key_id=API_KEY)
    assert seen == []
    assert await stage.connection.fetchval("SELECT count(*) FROM campaigns") == 0


def _counting(routee: SimulatedRoutee) -> list[Endpoint]:
    """The requests that come in from now on."""
    seen: list[Endpoint] = []
    draw = routee.faults.next

    def noting(endpoint: Endpoint) -> InjectedFault | None:
        seen.append(endpoint)
        return draw(endpoint)

    routee.faults.next = noting  # type: ignore[method-assign]
    return seen


@pytest.mark.parametrize("name", ROWS)
async def test_every_row_of_the_table_has_its_meaning(line: Line, name: str) -> None:
    row = ROWS[name]
    refusal = await _refusal(line.client, row.request)
    _is_row(refusal, row)
    assert not line.routee.campaigns


def _is_row(refusal: RouteeRefused, row: Row) -> None:
    assert refusal.http_status == row.http_status
    assert (refusal.code, refusal.error_code) == (row.code, row.error_code)
    assert refusal.meaning == row.meaning
    assert refusal.developer_message
    assert refusal.detail == ADVICE[row.meaning]
    at = [fault.field for fault in refusal.faults]
    assert at == ([row.field] if row.field else [])
    assert all((one.code, one.error_code) == (row.code, row.error_code) for one in refusal.faults)


@pytest.mark.parametrize("name", VIDEO_BOUNDS)
async def test_a_refusal_of_a_video_has_the_meaning_of_one_of_its_limits(
    line: Line, name: str
) -> None:
    document, _ = VIDEO_BOUNDS[name]
    refusal = await _refusal(line.client, document)
    assert (refusal.http_status, refusal.code) == (400, FIELD)
    assert refusal.meaning in {Meaning.VIDEO_TOO_LARGE, Meaning.VIDEO_TOO_LONG}
    assert refusal.developer_message == "A video is at most 200 MB large and 600 seconds long"


async def test_a_refused_attempt_is_rejected_with_what_to_do(stage: Stage) -> None:
    for number, row in enumerate(ROWS.values()):
        campaign_id = await stage.launch(campaignName=f"an accepted one {number}")
        await stage.connection.execute(
            "UPDATE campaigns SET submission = 'launching' WHERE id = $1", campaign_id
        )
        attempt = Attempt(campaign_id, f"a refused one {number}", name_generated=False, number=1)
        refusal = await stage.launching._attempts.make(attempt, row.request)
        assert isinstance(refusal, RouteeRefused)
        _is_row(refusal, row)
        campaign = await stage.campaign(campaign_id)
        assert campaign.submission == Submission.REJECTED
        assert campaign.submission_reason == ADVICE[row.meaning]
        assert campaign.next_attempt_at is None


async def test_a_balance_that_is_too_low(line: Line) -> None:
    line.routee.account.balance = Decimal("0.01")
    refusal = await _refusal(line.client, request())
    _is_row(refusal, Row({}, 400, "400001009", None, Meaning.BALANCE_TOO_LOW))


async def test_a_name_that_is_in_use(line: Line) -> None:
    await line.client.launch_campaign(_sent(request()))
    refusal = await _refusal(line.client, request())
    _is_row(refusal, Row({}, 409, "409009003", None, Meaning.CAMPAIGN_NAME_IN_USE, "campaignName"))
    assert line.routee.launches["a campaign"].accepted == 1


async def test_the_deletion_of_a_campaign_that_is_unknown(line: Line) -> None:
    with pytest.raises(RouteeRefused) as caught:
        await line.client.delete_campaign("no such campaign")
    _is_row(caught.value, Row({}, 404, "404009001", None, Meaning.CAMPAIGN_NOT_FOUND))


async def test_the_deletion_of_a_campaign_that_is_being_sent(line: Line) -> None:
    answer = await line.client.launch_campaign(_sent(request()))
    with pytest.raises(RouteeRefused) as caught:
        await line.client.delete_campaign(answer.tracking_id or "")
    _is_row(caught.value, Row({}, 400, "400009002", None, Meaning.CAMPAIGN_NOT_SCHEDULED))


async def test_an_account_without_viber_has_its_own_meaning(line: Line) -> None:
    line.routee.account.is_viber_activated = False
    refusal = await _refusal(line.client, request())
    assert (refusal.http_status, refusal.meaning) == (403, Meaning.VIBER_NOT_ACTIVATED)
    assert "Viber Application Form" in str(refusal)
    with pytest.raises(RouteeRefused) as caught:
        await line.client.delete_campaign("x")
    assert caught.value.meaning == Meaning.VIBER_NOT_ACTIVATED


async def test_an_expired_token_is_renewed_without_a_failure(line: Line) -> None:
    seen = _counting(line.routee)
    await line.client.launch_campaign(_sent(request(), "the first"))
    expire_token(line.routee)
    await line.client.launch_campaign(_sent(request(), "the second"))
    first = [Endpoint.TOKEN, Endpoint.CAMPAIGN]
    assert seen == [*first, Endpoint.CAMPAIGN, Endpoint.TOKEN, Endpoint.CAMPAIGN]
    assert len(line.routee.campaigns) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_call_that_is_denied_once_is_repeated_with_a_new_token(
    line: Line, status: int
) -> None:
    line.routee.faults.script(Endpoint.CAMPAIGN, denied(status))
    await line.client.launch_campaign(_sent(request()))
    assert line.routee.launches["a campaign"].requests == 2
    assert line.routee.launches["a campaign"].accepted == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_call_that_is_denied_twice_is_a_refusal(line: Line, status: int) -> None:
    line.routee.faults.sometimes(Endpoint.CAMPAIGN, {denied(status): 1})
    refusal = await _refusal(line.client, request())
    assert (refusal.http_status, refusal.meaning) == (status, Meaning.ACCESS_DENIED)
    assert refusal.developer_message == "Access is denied"
    assert line.routee.launches["a campaign"].requests == 2
    assert not line.routee.campaigns


async def test_wrong_credentials_are_no_refusal_of_the_campaign(line: Line) -> None:
    line.routee.faults.sometimes(Endpoint.TOKEN, {denied(): 1})
    with pytest.raises(RouteeUnavailable) as caught:
        await line.client.launch_campaign(_sent(request()))
    assert caught.value.slug == "routee-token-unavailable"
    assert not caught.value.may_have_been_accepted
    assert not line.routee.launches
