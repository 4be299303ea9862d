"""Launching over HTTP: what a caller sends, is told, and can find out later."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from app.api.fast_reads import FastReads
from app.domain.api_key import Scope
from app.main import build_app
from app.routee.preflight import Prober
from app.sandbox.faults import CUT_AFTER, CUT_BEFORE, Endpoint, too_many_requests
from app.sandbox.payloads import inbound_callback, status_callback, written
from app.sandbox.routee import SimulatedRoutee
from tests.api.conftest import (
    ROUTEE_SECRET,
    SECRET,
    SIGNING_KEY,
    Loop,
    Service,
    campaign_request,
    new_id,
    progress,
    reply,
    running,
    serving,
    settings_for,
    status,
)
from tests.conftest import fresh_database
from tests.database import connect
from tests.routee.media_host import Answer, MediaHost, make_certificates, running_host
from tests.routee.scripted_routee import (
    APPLICATION_SECRET,
    ScriptedRoutee,
    late,
    says,
    scripted_routee,
)

Document = dict[str, Any]

#: What writes URLs when the service is run like this: the test's own client, and an access log that
#: `serve` does not keep.
_OF_THE_TESTS = {"httpx", "httpcore.http11", "httpcore.connection", "uvicorn.access"}

PREFLIGHT = "/v1/campaigns?preflight=true"
NUMBERS = ("+306912345678", "+306912345679")
#: Every member that a campaign has.
FIELDS = {
    *("id", "trackingId", "submission", "submissionReason", "billing"),
    *("type", "state", "createdAt", "senderInfoTrackingId", "senderInfoName"),
    *("to", "contacts", "groups", "campaignName", "scheduledDate", "body", "ttl"),
    *("cost", "totalMessages", "viberAnalysis", "callbackUrl", "inboundUrl"),
    *("label", "isSessionMessage", "respectQuietHours"),
    *(
        "counts",
        "total",
        "finalCount",
        "awaiting",
        "finished",
        "finishedAt",
        "overdue",
        "firstEventAt",
        "lastEventAt",
        "progress",
        "warnings",
        "updatedAt",
    ),
}
STATUSES = {
    *("UNKNOWN", "QUEUED", "SENT", "UNDELIVERED", "EXPIRED", "FAILED", "UNSENT"),
    *("DELIVERED", "SEEN"),
}


@pytest.fixture(scope="module")
def database_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as database_url:
        yield database_url


@pytest.fixture(scope="module")
def scripted(loop: Loop) -> Iterator[ScriptedRoutee]:
    """A Routee that answers as it is told."""
    scripting = scripted_routee()
    yield loop.run(scripting.__aenter__())
    loop.run(scripting.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def asking(loop: Loop, database_url: str, scripted: ScriptedRoutee) -> Iterator[Service]:
    """A service that asks that Routee."""
    with running(
        loop, database_url, routee_api_url=scripted.url, routee_auth_url=scripted.url
    ) as service:
        yield service


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged(
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[None]:
    """Whatever a test here makes the service write is searched for credentials and numbers."""
    with caplog.at_level("DEBUG"):
        yield
    said = capfd.readouterr()
    records = [one for one in caplog.get_records("call") if one.name not in _OF_THE_TESTS]
    logged = "\n".join([said.out, said.err, *map(logging.Formatter().format, records)])
    secrets = [SECRET, SIGNING_KEY, ROUTEE_SECRET, APPLICATION_SECRET, *_digits(NUMBERS)]
    services = {"service", "asking"} & set(request.fixturenames)
    for name in services:
        secrets += request.getfixturevalue(name).keys.values()
    if "routee" in request.fixturenames:
        routee: SimulatedRoutee = request.getfixturevalue("routee")
        urls = [one.request.callback_url or "" for one in routee.campaigns.values()]
        secrets += [token for url in urls for token in _token_parts(url)]
        secrets += [routee.tokens._token] if routee.tokens._token else []
    if "scripted" in request.fixturenames:
        scripted: ScriptedRoutee = request.getfixturevalue("scripted")
        for call in scripted.calls:
            secrets += _token_parts(call.body.decode())
            secrets.append(call.headers["authorization"])
    assert [secret for secret in secrets if secret in logged] == []


def _digits(numbers: tuple[str, ...]) -> list[str]:
    return [number.removeprefix("+") for number in numbers]


def _token_parts(text: str) -> list[str]:
    """The callback tokens in *text*, and their signatures alone."""
    tokens = re.findall(r"/callbacks/([0-9a-f-]{36}\.[^/\"]+)/", text)
    return [*tokens, *(token.partition(".")[2] for token in tokens)]


def _post(
    service: Service,
    document: object,
    headers: Mapping[str, str] | None = None,
    *,
    bearer: Mapping[str, str] | None = None,
    path: str = "/v1/campaigns",
) -> httpx.Response:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    authorised = {**(bearer or service.bearer(Scope.CAMPAIGNS)), "Content-Type": "application/json"}
    return service.client.post(path, content=content, headers={**authorised, **(headers or {})})


def _problem(answer: httpx.Response, status: int, slug: str) -> Document:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: Document = answer.json()
    assert problem["type"] == f"urn:routee-receiver:problem:{slug}"
    assert problem["status"] == status
    return problem


def _key() -> dict[str, str]:
    return {"Idempotency-Key": new_id("key")}


def _token(service: Service, campaign: Document) -> str:
    return service.tokens.for_campaign(UUID(campaign["id"]))


def test_the_log_that_is_searched_is_the_services(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    service.launched()
    said = capfd.readouterr()
    assert "attempt to launch a campaign" in said.out + said.err


def test_a_replay_shows_the_current_state_of_the_launch(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key = _key()
    scripted.will(scripted.hangs_up())
    first = _post(asking, campaign_request(), key)
    again = _post(asking, campaign_request(), key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()
    callback = progress()
    asking.stored(callback, token=_token(asking, first.json()))
    settled = _post(asking, campaign_request(), key)
    assert settled.status_code == 201
    assert settled.headers["idempotency-replayed"] == "true"
    assert settled.json()["submission"] == "launched"
    assert settled.json()["trackingId"] == callback["campaignTrackingId"]
    assert len(scripted.calls) == 1


def test_a_key_stands_for_one_request_only(service: Service, routee: SimulatedRoutee) -> None:
    key = _key()
    _post(service, campaign_request(), key)
    before = len(routee.campaigns)
    for other in (campaign_request(ttl=600), campaign_request(campaignName=new_id("n")[:30])):
        _problem(_post(service, other, key), 422, "idempotency-key-reused")
    assert len(routee.campaigns) == before


def test_idempotency_keys_of_two_callers_are_independent(service: Service) -> None:
    key = _key()
    _, other = service.add_key(Scope.CAMPAIGNS)
    ours = _post(service, campaign_request(), key)
    theirs = _post(service, campaign_request(), key, bearer={"Authorization": f"Bearer {other}"})
    assert (ours.status_code, theirs.status_code) == (201, 201)
    assert ours.json()["id"] != theirs.json()["id"]
    assert "idempotency-replayed" not in theirs.headers


def test_of_concurrent_twins_one_launches_and_the_others_may_retry_later(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key, before = _key(), len(scripted.calls)
    scripted.will(late(0.5, says(200, {"trackingId": new_id("c")})))
    asking.bearer(Scope.CAMPAIGNS)
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda _: _post(asking, campaign_request(), key), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    (launched,) = (answer for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            problem = _problem(answer, 409, "launch-in-progress")
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["location"] == launched.headers["location"]
            assert launched.headers["location"] in problem["detail"]
    assert len(scripted.calls) == before + 1


def test_a_refusal_is_replayed_without_asking_routee_again(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key, before = _key(), len(scripted.calls)
    scripted.will(says(400, {"code": "400001009", "developerMessage": "no balance"}))
    _problem(_post(asking, campaign_request(), key), 422, "routee-refused")
    problem = _problem(_post(asking, campaign_request(), key), 422, "launch-rejected")
    assert "balance" in problem["detail"]
    assert len(scripted.calls) == before + 1


def test_the_key_of_a_refused_launch_is_free_for_a_corrected_body(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key, before = _key(), len(scripted.calls)
    denied = {"code": "400019002", "developerMessage": "not an E.164 number"}
    scripted.will(says(400, denied), says(400, denied), says(200, {"trackingId": new_id("c")}))
    wrong, still_wrong, corrected = (campaign_request(label=new_id()) for _ in range(3))
    _problem(_post(asking, wrong, key), 422, "routee-refused")
    _problem(_post(asking, still_wrong, key), 422, "routee-refused")
    launched = _post(asking, corrected, key)
    assert launched.status_code == 201
    assert "idempotency-replayed" not in launched.headers
    again = _post(asking, corrected, key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == launched.json()["id"]
    for other in (wrong, still_wrong):
        _problem(_post(asking, other, key), 422, "idempotency-key-reused")
    assert len(scripted.calls) == before + 3


def test_of_concurrent_corrections_under_one_key_one_is_launched(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key, before = _key(), len(scripted.calls)
    scripted.will(
        says(400, {"code": "400019002"}), late(0.5, says(200, {"trackingId": new_id("c")}))
    )
    _problem(_post(asking, campaign_request(label=new_id()), key), 422, "routee-refused")
    corrections = [campaign_request(label=new_id()) for _ in range(6)]
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda one: _post(asking, one, key), corrections))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 5
    assert len(scripted.calls) == before + 2


@pytest.mark.parametrize("mistake", [{"ttl": 1}, {"label": "x" * 351}, {"campaignNam": "x"}])
def test_a_body_that_our_own_rules_refuse_leaves_its_key_free(
    service: Service, mistake: Document
) -> None:
    key = _key()
    _problem(_post(service, campaign_request(**mistake), key), 422, "invalid-request")
    assert _post(service, campaign_request(), key).status_code == 201


def test_a_name_in_use_leaves_its_key_free(service: Service) -> None:
    key, name = _key(), new_id("name")[:30]
    service.launched(campaignName=name)
    _problem(_post(service, campaign_request(campaignName=name), key), 409, "campaign-name-in-use")
    assert _post(service, campaign_request(), key).status_code == 201


def test_the_key_of_a_launch_that_a_person_resolved_as_rejected_is_free(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key = _key()
    scripted.will(scripted.hangs_up(), says(200, {"trackingId": new_id("c")}))
    unconfirmed = _post(asking, campaign_request(), key)
    assert unconfirmed.status_code == 202
    other = campaign_request(label=new_id())
    _problem(_post(asking, other, key), 422, "idempotency-key-reused")
    campaign_id = unconfirmed.json()["id"]
    asking.sql("UPDATE campaigns SET lease_until = NULL WHERE id = $1", UUID(campaign_id))
    assert _resolve(asking, campaign_id, Scope.ADMIN, submission="rejected").status_code == 200
    assert _post(asking, other, key).status_code == 201


def test_an_unsent_launch_may_be_repeated_under_the_same_key(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    key = _key()
    scripted.will(says(429, {}, headers={"Retry-After": "3"}), says(200, {"trackingId": new_id()}))
    refused = _post(asking, campaign_request(), key)
    _problem(refused, 502, "routee-unavailable")
    assert refused.headers["retry-after"] == "3"
    answer = _post(asking, campaign_request(), key)
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["!", "~" * 255, "a/b?c=d&e"])
def test_any_visible_text_is_a_key(service: Service, key: str) -> None:
    answer = _post(service, campaign_request(label=new_id()), {"Idempotency-Key": key})
    assert answer.status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "~" * 256])
def test_other_texts_are_not_keys(service: Service, key: str) -> None:
    answer = _post(service, campaign_request(), {"Idempotency-Key": key})
    problem = _problem(answer, 422, "invalid-request")
    assert [error["field"].casefold() for error in problem["errors"]] == ["idempotency-key"]


def test_what_cannot_be_stored_after_the_call_must_not_be_launched_again(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    async def and_the_database_goes(request: object) -> object:
        await asking_database("ALTER TABLE campaigns RENAME TO gone")
        return await says(200, {"trackingId": new_id("c")})(request)  # type: ignore[arg-type]

    async def asking_database(statement: str) -> None:
        connection = await connect(asking.database_url)
        await connection.execute(statement)
        await connection.close()

    name = new_id("Gone")[:30]
    scripted.will(and_the_database_goes)  # type: ignore[arg-type]
    asking.bearer(Scope.CAMPAIGNS)
    answer = _post(asking, campaign_request(campaignName=name))
    asking.sql("ALTER TABLE gone RENAME TO campaigns")
    problem = _problem(answer, 409, "launch-in-progress")
    assert "retry-after" not in answer.headers
    (row,) = asking.sql("SELECT id, submission FROM campaigns WHERE name = $1", name)
    assert row["submission"] == "launching"
    assert f"/v1/campaigns/{row['id']}" in problem["detail"]
    assert answer.headers["location"] == f"/v1/campaigns/{row['id']}"


def test_all_faults_are_listed_at_once_with_routees_codes(
    service: Service, routee: SimulatedRoutee
) -> None:
    before = len(routee.launches)
    document = campaign_request(
        to=["12345", NUMBERS[0]],
        body={"text": "Hello", "imageURL": "http://media.example/a.png"},
        ttl=86_401,
        label="x" * 351,
        colour="red",
    )
    problem = _problem(_post(service, document), 422, "invalid-request")
    found = {
        error["field"]: (error.get("code"), error.get("errorCode")) for error in problem["errors"]
    }
    assert found == {
        "to[0]": ("400019002", "001"),
        "body": ("400019002", "007"),
        "body.imageURL": ("400000000", None),
        "ttl": ("400000000", None),
        "label": (None, None),
        "colour": (None, None),
    }
    assert len(routee.launches) == before


@pytest.mark.parametrize(
    ("changes", "code", "error_code", "field"),
    [
        ({"senderInfoTrackingId": "unknown-sender"}, "404020001", None, "senderInfoTrackingId"),
        ({"to": [], "contacts": ["unknown-contact"]}, "404002001", None, "contacts"),
        (
            {
                "body": {
                    "viberFile": {
                        "fileName": "a.pdf",
                        "fileType": "pdf",
                        "fileUrl": "https://media.example/larger-than-600-kb",
                    }
                }
            },
            *("400019002", "016", "body.viberFile"),
        ),
    ],
)
def test_what_only_routee_knows_is_answered_in_its_words(
    service: Service, changes: Document, code: str, error_code: str | None, field: str
) -> None:
    problem = _problem(_post(service, campaign_request(**changes)), 422, "routee-refused")
    assert (problem["code"], problem.get("errorCode")) == (code, error_code)
    assert problem["developerMessage"]
    assert problem["detail"]
    (error,) = problem["errors"]
    assert (error["field"], error["code"], error.get("errorCode")) == (field, code, error_code)


def test_an_account_without_viber_is_referred_to_the_form(
    service: Service, routee: SimulatedRoutee
) -> None:
    routee.account.is_viber_activated = False
    try:
        problem = _problem(_post(service, campaign_request()), 422, "routee-refused")
    finally:
        routee.account.is_viber_activated = True
    assert "Viber Application Form" in problem["detail"]


def test_every_field_is_there(service: Service) -> None:
    launched = service.launched()
    assert set(launched) == FIELDS
    assert set(launched["counts"]) == STATUSES
    tracking_id = new_id("observed")
    service.stored(progress(campaignTrackingId=tracking_id))
    long = {"to", "contacts", "groups", "body", "viberAnalysis"}
    every = "*," + ",".join(sorted(long))
    observed = service.read(f"/v1/campaigns/{tracking_id}", fields=every)
    assert set(observed) == FIELDS
    assert set(service.read(f"/v1/campaigns/{tracking_id}")) == FIELDS - long
    assert observed["submission"] == "observed"
    assert (observed["total"], observed["awaiting"]) == (1, None)
    for fields in ("", "to", "viberAnalysis,to", "*,to", "*", "counts,id", every):
        query: dict[str, Any] = {"fields": fields} if fields else {}
        (listed,) = service.read("/v1/campaigns", name=launched["campaignName"], **query)["items"]
        names = set((fields or "*").split(","))
        assert set(listed) == names - {"*"} | (FIELDS - long if "*" in names else set())
        assert listed == {name: launched[name] for name in listed}
        one = service.read(f"/v1/campaigns/{launched['id']}", **query)
        assert one == listed


def test_one_campaign_that_is_polled_takes_less_than_a_kilobyte(service: Service) -> None:
    numbers = [f"+3069{number:08}" for number in range(1000)]
    text = {"text": "Your parcel is on its way. " * 30}
    launched = service.launched(to=numbers, body=text, ttl=600, label=new_id("label"))
    for path in (f"/v1/campaigns/{launched['id']}", f"/v1/status/{launched['trackingId']}"):
        answer = service.get(path)
        assert len(answer.content) < 1024
        assert answer.json()["awaiting"] == 1000
    with_recipients = service.read(f"/v1/campaigns/{launched['id']}", fields="*,to")
    assert with_recipients["to"] == numbers


@pytest.mark.parametrize(
    "query",
    ["fields=", "fields=nothing", "fields=to,", "fields=to&limit=101", "fields=*,body&limit=101"],
)
def test_fields_that_lists_do_not_have_are_refused(service: Service, query: str) -> None:
    answer = service.get(f"/v1/campaigns?{query}")
    problem = _problem(answer, 422, "invalid-request")
    assert problem["errors"][0]["field"] == ("limit" if "limit" in query else "fields")


def test_the_callers_urls_are_not_sent_and_a_warning_says_so(
    service: Service, routee: SimulatedRoutee
) -> None:
    theirs = "https://caller.example/hook"
    campaign = service.launched(callbackUrl=theirs, inboundUrl=f"{theirs}/in", ttl=60)
    warned = [(warning["code"], warning["field"]) for warning in campaign["warnings"]]
    assert warned == [
        ("ttl-short", "ttl"),
        ("url-not-sent", "callbackUrl"),
        ("url-not-sent", "inboundUrl"),
    ]
    assert all(warning["message"] for warning in campaign["warnings"])
    asked = routee.campaigns[campaign["trackingId"]].request
    base = f"https://receiver.example/callbacks/{_token(service, campaign)}"
    assert (asked.callback_url, asked.inbound_url) == (f"{base}/status", f"{base}/inbound")
    assert theirs not in json.dumps(asked.document)
    assert campaign["callbackUrl"] == "https://receiver.example/callbacks/***/status"
    assert service.read(f"/v1/campaigns/{campaign['id']}")["warnings"] == campaign["warnings"]


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (b"12345678901.23456789", "12345678901.23456789"),
        (b"1234567890.123456789", "1234567890.123456789"),
        (b'"0.1000000000000000055"', "0.1000000000000000055"),
        (b"0.30000000000000004", "0.30000000000000004"),
        (b"1E+3", "1000"),
        (b"0.10", "0.1"),
        (b"0", "0"),
        (b"1e-9", "0.000000001"),
    ],
)
def test_money_keeps_every_digit(
    asking: Service, scripted: ScriptedRoutee, cost: bytes, shown: str
) -> None:
    scripted.will(says(200, b'{"trackingId":"%b","cost":%b}' % (new_id("c").encode(), cost)))
    campaign = asking.launched()
    assert campaign["cost"] == shown
    assert asking.read(f"/v1/campaigns/{campaign['id']}")["cost"] == shown
    (row,) = asking.sql("SELECT cost FROM campaigns WHERE id = $1", UUID(campaign["id"]))
    assert row["cost"] == Decimal(shown)


def test_numbers_are_sent_digit_by_digit_also_when_they_are_sent_again(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    video = (
        b'{"videoUrl":"https://media.example/v.mp4","videoThumbnail":"https://media.example/t.png"'
        b',"fileSize":1.10,"duration":12.3456789012345678901}'
    )
    body = b'{"senderInfoTrackingId":"s","to":["%b"],"body":{"viberVideo":%b}}' % (
        NUMBERS[0].encode(),
        video,
    )
    scripted.will(scripted.hangs_up(), says(200, {"trackingId": new_id("c")}))
    answer = _post(asking, body)
    assert answer.status_code == 202
    campaign_id = UUID(answer.json()["id"])
    asking.sql("UPDATE campaigns SET next_attempt_at = now() WHERE id = $1", campaign_id)
    _wait_until_launched(asking, campaign_id)
    first, second = scripted.calls[-2:]
    assert first.body == second.body
    assert b'"fileSize":1.10' in first.body
    assert b'"duration":12.3456789012345678901' in first.body


def _wait_until_launched(service: Service, campaign_id: UUID) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=15)
    while service.read(f"/v1/campaigns/{campaign_id}")["submission"] != "launched":
        assert datetime.now(UTC) < deadline


@pytest.fixture
def media(loop: Loop, tmp_path: Path) -> Iterator[tuple[MediaHost, Prober]]:
    """A host of media with real TLS, and a prober that takes it for one on the internet."""
    certificates = make_certificates(tmp_path)
    hosting = running_host(certificates)
    host = loop.run(hosting.__aenter__())
    prober = Prober(
        ssl_context=certificates.client_context(),
        resolve=_at_home,
        allows=lambda _: True,
        ports=frozenset({host.port}),
    )
    yield host, prober
    loop.run(hosting.__aexit__(None, None, None))


async def _at_home(_: str, __: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
def probing(
    loop: Loop, database_url: str, scripted: ScriptedRoutee, media: tuple[MediaHost, Prober]
) -> Iterator[Service]:
    """A service that sees that host."""
    receiver = build_app(
        settings_for(database_url, routee_api_url=scripted.url, routee_auth_url=scripted.url)
    )
    application: Any = receiver
    while not isinstance(application, FastReads):
        application = application._app
    application = application._api
    assert isinstance(application, FastAPI)
    application.state.parts.launching._prober = media[1]
    with serving(loop, receiver) as url:
        service = Service(url, database_url, loop)
        yield service
        service.client.close()


def test_media_are_probed_on_request(
    probing: Service, media: tuple[MediaHost, Prober], scripted: ScriptedRoutee
) -> None:
    host, _ = media
    host.answers["/a.png"] = Answer(
        headers={"Content-Length": "500000", "Content-Type": "image/png"}
    )
    missing, large = (
        campaign_request(body={"imageURL": host.url(path)}) for path in ("/none.png", "/a.png")
    )
    before = len(scripted.calls)
    problem = _problem(_post(probing, missing, path=PREFLIGHT), 422, "invalid-request")
    (error,) = problem["errors"]
    assert error["field"] == "body.imageURL"
    assert "404" in error["message"]
    assert len(scripted.calls) == before
    assert [one.method for one in host.seen] == ["HEAD"]

    scripted.will(says(200, {"trackingId": new_id("c")}))
    answer = _post(probing, large, path=PREFLIGHT)
    assert answer.status_code == 201
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["media-large"]


def test_media_are_not_probed_otherwise(
    probing: Service, media: tuple[MediaHost, Prober], scripted: ScriptedRoutee
) -> None:
    host, _ = media
    scripted.will(says(200, {"trackingId": new_id("c")}))
    answer = _post(probing, campaign_request(body={"imageURL": host.url("/none.png")}))
    assert answer.status_code == 201
    assert host.seen == []


def test_private_addresses_are_not_probed_by_the_service_as_it_is_built(asking: Service) -> None:
    document = campaign_request(body={"imageURL": "https://127.0.0.1/a.png"})
    problem = _problem(_post(asking, document, path=PREFLIGHT), 422, "invalid-request")
    assert "public internet" in problem["errors"][0]["message"]


def _delete(service: Service, campaign_id: object, scope: Scope = Scope.CAMPAIGNS) -> Any:  # noqa: ANN401
    return service.client.delete(f"/v1/campaigns/{campaign_id}", headers=service.bearer(scope))


def _resolve(service: Service, campaign_id: object, scope: Scope, **said: object) -> httpx.Response:
    path = f"/v1/campaigns/{campaign_id}/resolve"
    return _post(service, said, bearer=service.bearer(scope), path=path)


def test_a_campaign_that_cannot_be_cancelled_says_why(
    service: Service, routee: SimulatedRoutee
) -> None:
    _problem(_delete(service, new_id("unknown")), 404, "not-found")
    routee.faults.script(Endpoint.CAMPAIGN, CUT_BEFORE)
    unconfirmed = service.launch().json()
    problem = _problem(_delete(service, unconfirmed["id"]), 409, "campaign-not-cancellable")
    assert "unconfirmed" in problem["detail"]
    sending = service.launched()
    problem = _problem(_delete(service, sending["trackingId"]), 422, "routee-refused")
    assert (problem["code"], problem["developerMessage"]) == (
        *("400009002", "The campaign is no longer scheduled"),
    )
    assert service.read(f"/v1/campaigns/{sending['id']}")["submission"] == "launched"


def test_a_deletion_that_went_unanswered_is_repeated(
    service: Service, routee: SimulatedRoutee
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    campaign = service.launched(scheduledDate=later)
    routee.faults.script(Endpoint.DELETE, CUT_AFTER)
    answer = _delete(service, campaign["trackingId"])
    assert (answer.status_code, answer.json()["submission"]) == (200, "cancelled")
    assert campaign["trackingId"] not in routee.campaigns


def test_each_call_needs_its_scope(service: Service) -> None:
    campaign_id, _ = service.add_campaign(submission="unconfirmed")
    for scope in (Scope.READ, Scope.CAMPAIGNS):
        answer = _resolve(service, campaign_id, scope, submission="rejected")
        _problem(answer, 403, "forbidden")
    _problem(_delete(service, campaign_id, Scope.READ), 403, "forbidden")
    answer = _post(service, campaign_request(), bearer=service.bearer(Scope.READ))
    _problem(answer, 403, "forbidden")
    assert service.read(f"/v1/campaigns/{campaign_id}")["submission"] == "unconfirmed"
    answer = _resolve(service, campaign_id, Scope.ADMIN, submission="rejected")
    assert answer.json()["submissionReason"] == "resolved by a person"


def test_a_launch_under_way_cannot_be_resolved(service: Service) -> None:
    campaign_id, _ = service.add_campaign(submission="unconfirmed")
    service.sql(
        "UPDATE campaigns SET lease_until = now() + interval '1 min' WHERE id = $1", campaign_id
    )
    answer = _resolve(service, campaign_id, Scope.ADMIN, submission="rejected")
    _problem(answer, 409, "launch-in-progress")
    assert int(answer.headers["retry-after"]) > 0


def _walk(service: Service, *, limit: int, **filters: Any) -> list[str]:  # noqa: ANN401
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read("/v1/campaigns", limit=limit, **filters, **cursor)
        assert len(page["items"]) <= limit
        found += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            return found
        assert re.fullmatch("[A-Za-z0-9_.~-]+", page["nextCursor"])
        cursor = {"cursor": page["nextCursor"]}


def test_each_filter_finds_its_campaigns_page_by_page(service: Service) -> None:
    label = new_id("label")
    ids = [service.launched(label=label, campaignName=new_id("C")[:30])["id"] for _ in range(4)]
    rejected = service.launch(label=label, senderInfoTrackingId="unknown-sender")
    assert rejected.status_code == 422
    rows = service.sql(
        "SELECT id::text, name, created_at FROM campaigns WHERE label = $1 ORDER BY id", label
    )
    every = [row["id"] for row in rows]
    assert every[:4] == ids
    newest_first = every[::-1]
    for limit in (1, 2, 5, 1000):
        assert _walk(service, limit=limit, label=label) == newest_first
    assert _walk(service, limit=2, label=label, submission="launched") == ids[::-1]
    assert _walk(service, limit=2, label=label, submission="rejected") == every[4:]
    assert _walk(service, limit=1, name=rows[2]["name"]) == [ids[2]]
    middle = rows[2]["created_at"].isoformat()
    assert _walk(service, limit=1, label=label, createdSince=middle) == newest_first[:3]
    assert _walk(service, limit=1, label=label, createdBefore=middle) == newest_first[3:]
    both = {"createdSince": rows[1]["created_at"].isoformat(), "createdBefore": middle}
    assert _walk(service, limit=1, label=label, **both) == [ids[1]]
    assert _walk(service, limit=1, label=new_id()) == []


def test_a_cursor_belongs_to_its_filters(service: Service) -> None:
    label = new_id("label")
    for _ in range(2):
        service.launched(label=label)
    cursor = service.read("/v1/campaigns", label=label, limit=1)["nextCursor"]
    others: tuple[dict[str, Any], ...] = (
        {},
        {"label": new_id()},
        {"label": label, "submission": "launched"},
    )
    for filters in others:
        answer = service.get("/v1/campaigns", limit=1, cursor=cursor, **filters)
        _problem(answer, 400, "invalid-cursor")


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_a_limit_has_bounds(service: Service, limit: str) -> None:
    problem = _problem(service.get("/v1/campaigns", limit=limit), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "limit"


def test_callbacks_before_the_answer_are_counted_once(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    """Through the campaign's token, with and without the campaign's id in them."""
    tracking_id = new_id("c")
    first, second = progress(campaignTrackingId=tracking_id), progress(campaignTrackingId=None)
    answered = new_id("m")

    async def early(_: object) -> object:
        sent = json.loads(scripted.calls[-1].body)
        path = urlsplit(sent["callbackUrl"]).path
        replied = urlsplit(sent["inboundUrl"]).path
        documents = (
            (path, first | {"status": status("QUEUED")}),
            (path, second | {"status": status("SEEN", "2026-03-01T10:00:00Z")}),
            (path, second | {"status": status("DELIVERED", "2026-03-01T09:00:00Z")}),
            (replied, reply(referenceTrackingId=answered, campaignTrackingId=None)),
        )
        async with httpx.AsyncClient(base_url=asking.url) as routee:
            for where, document in documents:
                answer = await routee.post(where, json=document)
                assert answer.json() == {"result": "stored"}
        return await says(200, {"trackingId": tracking_id, "totalMessages": 3})(_)  # type: ignore[arg-type]

    scripted.will(early)  # type: ignore[arg-type]
    campaign = asking.launched()
    assert (campaign["submission"], campaign["trackingId"]) == ("launched", tracking_id)
    assert (campaign["total"], campaign["finalCount"], campaign["awaiting"]) == (2, 1, 1)
    assert _some(campaign["counts"]) == {"QUEUED": 1, "SEEN": 1}
    for document in (first, second):
        assert asking.message(document["trackingId"])["campaignTrackingId"] == tracking_id
    (answering,) = asking.replies(referenceTrackingId=answered)
    assert answering["campaignTrackingId"] == tracking_id
    assert _rows(asking, tracking_id) == [campaign["id"]]


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _rows(service: Service, tracking_id: str) -> list[str]:
    query = "SELECT id::text FROM campaigns WHERE tracking_id = $1"
    return [row["id"] for row in service.sql(query, tracking_id)]


def test_a_campaign_that_was_observed_is_absorbed_by_its_launch(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    """Its events came through a secret of all callbacks; then the answer names its id."""
    tracking_id = new_id("c")
    documents = [progress(campaignTrackingId=tracking_id) for _ in range(3)]
    for document in documents:
        asking.stored(document | {"status": status("DELIVERED", "2026-03-01T10:00:00Z")})
    asking.stored(documents[0] | {"status": status("SEEN", "2026-03-01T11:00:00Z")})
    observed = asking.read(f"/v1/campaigns/{tracking_id}")
    assert (observed["submission"], observed["total"]) == ("observed", 3)

    scripted.will(says(200, {"trackingId": tracking_id, "totalMessages": 5, "cost": 0.175}))
    campaign = asking.launched()

    assert campaign["id"] != observed["id"]
    assert _rows(asking, tracking_id) == [campaign["id"]]
    assert asking.get(f"/v1/campaigns/{observed['id']}").status_code == 404
    assert _some(campaign["counts"]) == {"DELIVERED": 2, "SEEN": 1}
    assert (campaign["total"], campaign["finalCount"], campaign["awaiting"]) == (3, 3, 2)
    asking.stored(documents[0] | {"status": status("SEEN", "2026-03-01T11:00:00Z")})
    asking.stored(progress(campaignTrackingId=tracking_id), token=_token(asking, campaign))
    assert asking.read(f"/v1/campaigns/{tracking_id}")["total"] == 4
    items = asking.read(f"/v1/campaigns/{campaign['id']}/messages")["items"]
    heard_of = [item["trackingId"] for item in items if item["trackingId"] is not None]
    assert {*heard_of} >= {one["trackingId"] for one in documents}
    assert len(heard_of) == 4


def test_a_second_tracking_id_on_a_token_never_rebinds(
    service: Service, routee: SimulatedRoutee, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody copied our campaign, with its URLs, in the console."""
    campaign = service.launched()
    token, copied = _token(service, campaign), new_id("copy")
    ours = progress(campaignTrackingId=campaign["trackingId"])
    service.stored(ours, token=token)
    before = _copies(service)
    capfd.readouterr()

    theirs = [progress(campaignTrackingId=copied) for _ in range(2)]
    for document in theirs:
        service.stored(document, token=token)

    assert _copies(service) == before + 1
    said = capfd.readouterr()
    assert (said.out + said.err).count("another campaign uses this campaign's callback URL") == 1
    found = service.read(f"/v1/campaigns/{campaign['id']}")
    assert (found["trackingId"], found["total"]) == (campaign["trackingId"], 1)
    observed = service.read(f"/v1/campaigns/{copied}")
    assert (observed["submission"], observed["total"]) == ("observed", 2)
    assert observed["id"] != campaign["id"]
    assert service.message(theirs[0]["trackingId"])["campaignTrackingId"] == copied
    assert campaign["trackingId"] in routee.campaigns


def _copies(service: Service) -> float:
    found = re.search(
        r"^receiver_campaign_copies_total (\S+)$", service.client.get("/metrics").text, re.MULTILINE
    )
    assert found
    return float(found[1])


def test_the_whole_story_of_a_launch_through_its_token(
    service: Service, routee: SimulatedRoutee
) -> None:
    """Cut after it was accepted: its first callback settles it, the others count."""
    routee.faults.script(Endpoint.CAMPAIGN, CUT_AFTER)
    answer = service.launch()
    assert answer.status_code == 202
    asked = next(
        one
        for one in routee.campaigns.values()
        if one.request.name == answer.json()["campaignName"]
    )
    for message in asked.messages.values():
        for occurrence in message.occurrences:
            document = json.loads(written(status_callback(asked, message, occurrence)))
            service.stored(document, token=_token(service, answer.json()))
        for replied in message.replies:
            document = json.loads(written(inbound_callback(asked, message, replied)))
            service.stored(document, token=_token(service, answer.json()), kind="inbound")
    found = service.read(f"/v1/campaigns/{answer.json()['id']}")
    assert (found["submission"], found["trackingId"]) == ("launched", asked.tracking_id)
    assert found["total"] == 2
    assert sorted(asked.expected_statuses.values()) == sorted(
        name for name, count in found["counts"].items() for _ in range(count)
    )


def _documented(name: str, **body: object) -> Document:
    """Every member of Routee's campaign request."""
    later = datetime.now(UTC) + timedelta(hours=5)
    return {
        "senderInfoTrackingId": "8a1e07a1-4b6c-4d5b-9f5e-3e0f0a1b2c3d",
        "to": list(NUMBERS),
        "contacts": ["5b1f6a3c"],
        "groups": ["customers"],
        "campaignName": name,
        "isSessionMessage": False,
        "scheduledDate": later.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "body": body,
        "ttl": 86400,
        "callbackUrl": "https://your-server.com/status",
        "inboundUrl": "https://your-server.com/inbound",
        "label": "labelName",
    }


DOCUMENTED_BODIES: dict[str, Document] = {
    "text, action and image": {
        "text": "Hello [~name], this is a test",
        "imageURL": "https://media.example/image.png",
        "action": {"caption": "Go", "targetUrl": "https://www.routee.net/"},
        "fallbackValues": {"name": "customer"},
    },
    "file": {
        "viberFile": {
            "fileName": "prices.pdf",
            "fileType": "pdf",
            "fileUrl": "https://media.example/prices.pdf",
        }
    },
    "video, text and image": {
        "text": "Hello",
        "imageURL": "https://media.example/image.png",
        "viberVideo": {
            "videoUrl": "https://media.example/video.mp4",
            "videoThumbnail": "https://media.example/thumbnail.png",
            "fileSize": 20,
            "duration": 300,
        },
    },
    "video in the other spelling": {
        "viberVideo": {
            "videoURL": "https://media.example/video.mp4",
            "videoThumbnail": "https://media.example/thumbnail.png",
            "fileSize": 0.5,
            "duration": 1,
        },
    },
    "text, the others null": {
        "text": "Hello",
        "imageURL": None,
        "action": None,
        "viberFile": None,
        "viberVideo": None,
        "fallbackValues": None,
    },
}


@pytest.mark.parametrize("kind", DOCUMENTED_BODIES)
def test_a_client_of_routee_changes_the_address_and_the_token_only(
    service: Service, routee: SimulatedRoutee, kind: str
) -> None:
    name = new_id("Viber")[:30]
    document = _documented(name, **DOCUMENTED_BODIES[kind])
    answer = httpx.post(
        f"{service.url}/v1/campaigns",
        headers={
            "authorization": service.bearer(Scope.CAMPAIGNS)["Authorization"],
            "content-type": "application/json",
        },
        content=json.dumps(document),
    )
    assert answer.status_code == 201, answer.text
    campaign = answer.json()
    asked = routee.campaigns[campaign["trackingId"]].request.document
    ours = {"callbackUrl": asked["callbackUrl"], "inboundUrl": asked["inboundUrl"]}
    assert asked == _without_nulls(document) | ours
    assert {name: campaign[name] for name in document if name not in {*ours, "body"}} == {
        name: value for name, value in document.items() if name not in {*ours, "body"}
    }
    assert campaign["body"] == _without_nulls(document["body"])
    assert (campaign["state"], campaign["type"]) == ("Scheduled", "Viber")
    assert campaign["totalMessages"] == campaign["viberAnalysis"]["numberOfRecipients"] == 6
    assert campaign["respectQuietHours"] is False
    assert campaign["cost"] == "0.21"


def _without_nulls(document: Mapping[str, Any]) -> Document:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if value is not None
    }


def test_a_session_message_is_documented_too(service: Service, routee: SimulatedRoutee) -> None:
    campaign = service.launched(isSessionMessage=True, body={"text": "Hello"})
    assert campaign["isSessionMessage"] is True
    assert campaign["billing"] == "session"
    assert routee.campaigns[campaign["trackingId"]].request.is_session_message


def test_too_many_requests_is_answered_with_its_pause(
    service: Service, routee: SimulatedRoutee
) -> None:
    routee.faults.script(Endpoint.CAMPAIGN, too_many_requests("9"))
    answer = service.launch()
    _problem(answer, 502, "routee-unavailable")
    assert answer.headers["retry-after"] == "9"
