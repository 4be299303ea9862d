import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from app.domain.api_key import Scope
from app.domain.callback_token import Origin
from app.sandbox.routee import SimulatedRoutee
from tests.api.conftest import (
    NOWHERE,
    Loop,
    Service,
    campaign_request,
    new_id,
    progress,
    running,
    status,
)
from tests.conftest import fresh_database
from tests.routee.scripted_routee import ScriptedRoutee, says, scripted_routee


def _post(service: Service, document: object, **headers: str) -> httpx.Response:
    return service.client.post(
        "/v1/campaigns", json=document, headers=service.bearer(Scope.CAMPAIGNS) | headers
    )


def _is_problem(answer: httpx.Response, status: int, slug: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:routee-receiver:problem:{slug}"


def test_a_launched_campaign_is_shown_in_routees_words(
    service: Service, routee: SimulatedRoutee
) -> None:
    name = new_id("Spring")[:30]
    answer = service.launch(campaignName=name, label="a label", ttl=300)
    assert answer.status_code == 201
    campaign = answer.json()
    assert answer.headers["location"] == f"/v1/campaigns/{campaign['id']}"
    assert UUID(campaign["id"]).version == 7
    asked = routee.campaigns[campaign["trackingId"]]
    assert asked.request.document["campaignName"] == name
    assert campaign["submission"] == "launched"
    assert campaign["submissionReason"] is None
    assert campaign["billing"] == "transactional"
    assert campaign["type"] == "Viber"
    assert campaign["state"] == "Queued"
    assert campaign["campaignName"] == name
    assert campaign["label"] == "a label"
    assert campaign["ttl"] == 300
    assert campaign["to"] == ["+306912345678", "+306912345679"]
    assert campaign["body"]["text"] == "Your parcel is on its way."
    assert campaign["cost"] == "0.07"
    assert campaign["totalMessages"] == 2
    assert campaign["viberAnalysis"]["numberOfRecipients"] == 2
    assert campaign["senderInfoTrackingId"] == "sender-1"
    assert (campaign["total"], campaign["finalCount"], campaign["awaiting"]) == (0, 0, 2)
    assert set(campaign["counts"].values()) == {0}
    assert campaign["warnings"] == []


def test_the_token_is_in_the_urls_that_routee_is_given_and_nowhere_in_an_answer(
    service: Service, routee: SimulatedRoutee
) -> None:
    answer = service.launch()
    campaign = answer.json()
    asked = routee.campaigns[campaign["trackingId"]].request
    pattern = r"https://receiver\.example/callbacks/([^/]+)/(status|inbound)"
    found = [re.fullmatch(pattern, url or "") for url in (asked.callback_url, asked.inbound_url)]
    assert [match and match[2] for match in found] == ["status", "inbound"]
    token = found[0][1] if found[0] else ""
    assert service.tokens.find_origin(token) == Origin(UUID(campaign["id"]))
    signature = token.partition(".")[2]
    assert campaign["callbackUrl"] == "https://receiver.example/callbacks/***/status"
    assert campaign["inboundUrl"] == "https://receiver.example/callbacks/***/inbound"
    for path in (f"/v1/campaigns/{campaign['id']}", f"/v1/status/{campaign['id']}"):
        assert signature not in service.get(path).text
    assert signature not in answer.text


def test_a_campaign_is_found_by_its_own_id_and_by_routees(service: Service) -> None:
    campaign = service.launched()
    by_own_id = service.read(f"/v1/campaigns/{campaign['id']}")
    assert by_own_id == service.read(f"/v1/campaigns/{campaign['trackingId']}")
    assert by_own_id["id"] == campaign["id"]
    own = service.read(f"/v1/campaigns/{campaign['id']}/messages")
    assert own == service.read(f"/v1/campaigns/{campaign['trackingId']}/messages")
    assert service.read(f"/v1/status/{campaign['id']}")["kind"] == "campaign"


def test_a_campaign_without_a_name_gets_one_of_ours(service: Service) -> None:
    names = {service.launched()["campaignName"] for _ in range(2)}
    assert len(names) == 2
    assert all(re.fullmatch("rr-[a-z2-7]{26}", name) for name in names)


def test_the_counts_follow_the_callbacks(service: Service) -> None:
    campaign = service.launched()
    _, token = UUID(campaign["id"]), service.tokens.for_campaign(UUID(campaign["id"]))
    first, second = progress(campaignTrackingId=None), progress(campaignTrackingId=None)
    service.stored({**first, "status": status("QUEUED")}, token=token)
    service.stored({**second, "status": status("SEEN")}, token=token)
    found = service.read(f"/v1/campaigns/{campaign['id']}")
    counts = {name: count for name, count in found["counts"].items() if count}
    assert counts == {"QUEUED": 1, "SEEN": 1}
    assert (found["total"], found["finalCount"], found["awaiting"]) == (2, 1, 0)
    items = service.read(f"/v1/campaigns/{campaign['id']}/messages")["items"][:2]
    assert sorted(item["trackingId"] for item in items) == sorted(
        [first["trackingId"], second["trackingId"]]
    )


def test_numbers_keep_their_type_and_their_digits(service: Service) -> None:
    video = {
        "videoUrl": "https://media.example/film.mp4",
        "videoThumbnail": "https://media.example/film.jpg",
        "fileSize": 12.5,
        "duration": 30,
    }
    campaign = service.launched(body={"viberVideo": video})
    assert campaign["body"]["viberVideo"] == video
    answer = service.get(f"/v1/campaigns/{campaign['id']}", fields="*,body")
    assert answer.json()["body"]["viberVideo"] == video


def test_our_own_findings_are_named_field_by_field_and_nothing_is_sent(
    service: Service, routee: SimulatedRoutee
) -> None:
    before = len(routee.campaigns)
    answer = service.launch(to=["12345"], body={}, ttl=5, campaignName="x")
    _is_problem(answer, 422, "invalid-request")
    fields = {error["field"].partition("[")[0] for error in answer.json()["errors"]}
    assert {"body", "ttl", "campaignName"} <= fields
    assert all(error["message"] for error in answer.json()["errors"])
    assert len(routee.campaigns) == before


def test_a_name_that_is_in_use_here_is_a_conflict(
    service: Service, routee: SimulatedRoutee
) -> None:
    name = new_id("Twice")[:30]
    service.launched(campaignName=name)
    before = len(routee.campaigns)
    answer = service.launch(campaignName=name)
    _is_problem(answer, 409, "campaign-name-in-use")
    assert name in answer.json()["detail"]
    assert len(routee.campaigns) == before


def test_a_key_that_is_used_again_launches_nothing(
    service: Service, routee: SimulatedRoutee
) -> None:
    key = {"Idempotency-Key": new_id("key")}
    first = _post(service, campaign_request(), **key)
    before = len(routee.campaigns)
    again = _post(service, dict(reversed(campaign_request().items())), **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    _is_problem(_post(service, campaign_request(ttl=300), **key), 422, "idempotency-key-reused")
    assert len(routee.campaigns) == before


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_an_invalid_idempotency_key_is_refused(service: Service, key: str) -> None:
    bearer = service.bearer(Scope.CAMPAIGNS)["Authorization"].encode()
    headers = [(b"idempotency-key", key.encode()), (b"authorization", bearer)]
    answer = service.client.post("/v1/campaigns", json=campaign_request(), headers=headers)
    assert answer.status_code == 422


@pytest.fixture(scope="module")
def database_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as database_url:
        yield database_url


@pytest.fixture(scope="module")
def scripted(loop: Loop) -> Iterator[ScriptedRoutee]:
    """A Routee that answers as it is told."""
    serving = scripted_routee()
    yield loop.run(serving.__aenter__())
    loop.run(serving.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def asking(loop: Loop, database_url: str, scripted: ScriptedRoutee) -> Iterator[Service]:
    """A service that asks the Routee that is told what to answer."""
    with _asking(loop, database_url, scripted.url) as service:
        yield service


@contextmanager
def _asking(loop: Loop, database_url: str, routee_url: str) -> Iterator[Service]:
    with running(
        loop, database_url, routee_api_url=routee_url, routee_auth_url=routee_url
    ) as service:
        yield service


ACCEPTED = {"trackingId": "routee-1", "state": "Queued", "cost": 0.07, "totalMessages": 2}


def test_a_connection_that_is_cut_leaves_the_launch_unconfirmed(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    scripted.will(scripted.hangs_up())
    answer = asking.launch()
    assert answer.status_code == 202
    campaign = answer.json()
    assert answer.headers["location"] == f"/v1/campaigns/{campaign['id']}"
    assert (campaign["submission"], campaign["trackingId"]) == ("unconfirmed", None)
    assert campaign["submissionReason"]
    items = asking.read(f"/v1/campaigns/{campaign['id']}/messages")["items"]
    assert [item["status"] for item in items] == ["AWAITING"] * 2
    token = asking.tokens.for_campaign(UUID(campaign["id"]))
    document = progress()
    asking.stored(document, token=token)
    found = asking.read(f"/v1/campaigns/{campaign['id']}")
    assert found["submission"] == "launched"
    assert found["trackingId"] == document["campaignTrackingId"]
    assert found["total"] == 1


@pytest.mark.parametrize(
    ("code", "content"),
    [(500, {}), (503, {}), (504, b"<html>"), (200, b"<html>"), (200, [1]), (408, {})],
)
def test_an_unusable_answer_leaves_the_launch_unconfirmed(
    asking: Service, scripted: ScriptedRoutee, code: int, content: object
) -> None:
    scripted.will(says(code, content))
    assert asking.launch().status_code == 202


ODD_ANSWERS: dict[str, object] = {
    "nothing": b"",
    "no members": {},
    "lone surrogates": b'{"trackingId":"r1","senderInfoName":"\\ud800","body":{"text":"\\udfff"}}',
    "NUL": b'{"trackingId":"r2\\u0000","label":"a\\u0000b"}',
    "NaN": b'{"trackingId":"r3","cost":NaN,"ttl":Infinity,"totalMessages":NaN}',
    "large numbers": b'{"trackingId":"r4","cost":1e400,"totalMessages":1e400,"ttl":%b}'
    % (b"9" * 5000),
    "types": b'{"trackingId":{"a":1},"state":[],"type":7,"to":"x","viberAnalysis":3,"cost":"free"}',
    "a long id": b'{"trackingId":"%b"}' % (b"x" * 600),
    "nested": b'{"trackingId":"r5","body":%b1%b}' % (b'{"a":' * 400, b"}" * 400),
}


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_any_members_of_an_acceptance_are_readable(
    asking: Service, scripted: ScriptedRoutee, kind: str
) -> None:
    scripted.will(says(200, ODD_ANSWERS[kind]))
    answer = asking.launch()
    assert answer.status_code == 201, answer.text
    campaign_id = answer.json()["id"]
    for path in (f"/v1/campaigns/{campaign_id}", f"/v1/status/{campaign_id}", "/v1/campaigns"):
        assert asking.get(path).status_code == 200


@pytest.mark.parametrize(
    ("code", "said", "field"),
    [
        ("404020001", "The sender id is not correct", "senderInfoTrackingId"),
        ("400001009", "The balance is too low", None),
    ],
)
def test_a_refusal_of_routees_is_answered_with_its_code(
    asking: Service, scripted: ScriptedRoutee, code: str, said: str, field: str | None
) -> None:
    scripted.will(says(int(code[:3]), {"code": code, "developerMessage": said}))
    answer = asking.launch()
    _is_problem(answer, 422, "routee-refused")
    problem = answer.json()
    assert (problem["code"], problem["developerMessage"]) == (code, said)
    assert field in [None, *(error["field"] for error in problem.get("errors", []))]


def test_the_name_of_a_refused_campaign_is_free_again(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    scripted.will(says(404, {"code": "404020001"}), says(200, {"trackingId": new_id("c")}))
    assert asking.launch(campaignName="Refused at first").status_code == 422
    assert asking.launch(campaignName="Refused at first").status_code == 201


def test_a_name_that_is_in_use_at_routee_only_is_a_conflict(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    refusal = {"code": "409009003", "developerMessage": "name in use"}
    scripted.will(says(409, refusal))
    _is_problem(asking.launch(campaignName="A name"), 409, "campaign-name-in-use")


def test_what_routee_quotes_of_our_urls_is_masked(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    async def quoting(request: object) -> object:
        body = scripted.received[-1].body.decode()
        quoted = {
            "code": "400000000",
            "developerMessage": body,
            "properties": {"callbackUrl": body},
        }
        return await says(400, quoted)(request)  # type: ignore[arg-type]

    scripted.will(quoting)  # type: ignore[arg-type]
    answer = asking.launch()
    assert answer.status_code == 422
    assert "callbacks/***" in answer.text
    sent = re.findall(r"callbacks/([^/]+)/", scripted.calls[-1].body.decode())
    assert sent
    assert sent[0] not in answer.text


def test_without_a_token_of_routees_nothing_is_asked_and_the_answer_is_502(
    loop: Loop, database_url: str
) -> None:
    with _asking(loop, database_url, NOWHERE) as service:
        answer = service.launch(campaignName="Nothing sent")
        _is_problem(answer, 502, "routee-token-unavailable")
        (found,) = service.sql("SELECT submission FROM campaigns WHERE name = 'Nothing sent'")
        assert found["submission"] == "rejected"


def test_a_wrong_secret_is_502(loop: Loop, database_url: str, scripted: ScriptedRoutee) -> None:
    scripted.will_give_tokens(says(401, {"error": "unauthorized"}))
    with _asking(loop, database_url, scripted.url) as service:
        assert service.launch().status_code == 502
    scripted.will_give_tokens()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("public_url", ""),
        ("signing_keys", ()),
        ("routee_application_id", ""),
        ("routee_application_secret", SecretStr("")),
    ],
)
def test_launching_that_is_not_configured_names_the_setting(
    loop: Loop, database_url: str, setting: str, value: object
) -> None:
    with running(loop, database_url, **{setting: value}) as service:
        answer = service.launch()
        _is_problem(answer, 503, "launching-not-configured")
        assert f"RECEIVER_{setting.upper()}" in answer.json()["detail"]
        service.stored(progress())


def test_an_accepted_launch_is_not_forgotten_when_another_campaign_holds_its_tracking_id(
    asking: Service, scripted: ScriptedRoutee
) -> None:
    scripted.will(says(200, ACCEPTED))
    asking.launched(campaignName="The first")
    answer = asking.launch(campaignName="The second")
    assert answer.status_code in {201, 202}, answer.text
    (found,) = asking.sql("SELECT submission FROM campaigns WHERE name = 'The second'")
    assert found["submission"] in {"launched", "unconfirmed"}


def _unconfirmed(service: Service) -> UUID:
    campaign_id, _ = service.add_campaign(submission="unconfirmed")
    return campaign_id


def _resolve(service: Service, campaign_id: UUID, **document: object) -> httpx.Response:
    return service.client.post(
        f"/v1/campaigns/{campaign_id}/resolve",
        content=json.dumps(document),
        headers=service.bearer(Scope.ADMIN) | {"content-type": "application/json"},
    )


def test_a_person_resolves_an_unconfirmed_launch(service: Service) -> None:
    launched, rejected, tracking_id = _unconfirmed(service), _unconfirmed(service), new_id("c")
    answer = _resolve(service, launched, submission="launched", trackingId=tracking_id)
    assert answer.status_code == 200
    assert (answer.json()["submission"], answer.json()["trackingId"]) == ("launched", tracking_id)
    assert _resolve(service, rejected, submission="rejected").json()["submission"] == "rejected"
    _is_problem(_resolve(service, launched, submission="rejected"), 409, "campaign-not-unconfirmed")


@pytest.mark.parametrize(
    "tracking_id", ["a\0b", "\ud800", "€" * 512, "x" * 513, "", 1, ["x"], {"x": 1}]
)
def test_an_unusable_tracking_id_resolves_nothing(service: Service, tracking_id: object) -> None:
    campaign_id = _unconfirmed(service)
    answer = _resolve(service, campaign_id, submission="launched", trackingId=tracking_id)
    _is_problem(answer, 422, "invalid-request")
    assert service.read(f"/v1/campaigns/{campaign_id}")["submission"] == "unconfirmed"


def test_the_tracking_id_of_another_campaign_resolves_nothing(service: Service) -> None:
    campaign_id, other = _unconfirmed(service), new_id("c")
    service.add_campaign(other)
    answer = _resolve(service, campaign_id, submission="launched", trackingId=other)
    assert 400 <= answer.status_code < 500, answer.text
    assert service.read(f"/v1/campaigns/{campaign_id}")["submission"] == "unconfirmed"


def test_a_scheduled_campaign_can_be_cancelled_and_cancelled_again(
    service: Service, routee: SimulatedRoutee
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    campaign = service.launched(scheduledDate=later)
    assert campaign["state"] == "Scheduled"
    for _ in range(2):
        answer = service.client.delete(
            f"/v1/campaigns/{campaign['id']}", headers=service.bearer(Scope.CAMPAIGNS)
        )
        assert (answer.status_code, answer.json()["submission"]) == (200, "cancelled")
    assert campaign["trackingId"] not in routee.campaigns


def test_a_campaign_that_is_being_sent_cannot_be_cancelled(service: Service) -> None:
    campaign = service.launched()
    answer = service.client.delete(
        f"/v1/campaigns/{campaign['id']}", headers=service.bearer(Scope.CAMPAIGNS)
    )
    _is_problem(answer, 422, "routee-refused")
    assert answer.json()["code"] == "400009002"


def test_campaigns_are_listed_the_newest_first_and_filtered(service: Service) -> None:
    label = new_id("label")
    launched = [service.launched(label=label)["id"] for _ in range(5)]
    walked: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read("/v1/campaigns", label=label, limit=2, **cursor)
        walked += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert walked == launched[::-1]
    one = service.read(f"/v1/campaigns/{launched[0]}", fields="*,to,viberAnalysis")
    listed = service.read("/v1/campaigns", name=one["campaignName"], fields="*,to,viberAnalysis")
    assert listed["items"] == [one]
    assert service.read("/v1/campaigns", label=label, submission="rejected")["items"] == []
    assert service.get("/v1/campaigns", submission="lost").status_code == 422


@pytest.mark.parametrize("name", ["createdSince", "createdBefore"])
@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026", "x"]
)
def test_an_invalid_instant_is_named(service: Service, name: str, instant: str) -> None:
    answer = service.get(f"/v1/campaigns?{name}={instant}")
    _is_problem(answer, 422, "invalid-request")
    assert answer.json()["errors"][0]["field"] == name


def test_a_request_of_megabytes_is_refused(service: Service) -> None:
    document = campaign_request(body={"text": "x" * 3_000_000})
    _is_problem(_post(service, document), 413, "too-large")
