"""What Routee tells about a campaign is no message, and an envelope is its messages."""

import itertools
import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import SECRET, Service, new_id, payload, progress, reply, status

KINDS = ("status", "inbound")


@pytest.fixture
def service(each_service: Service) -> Service:
    return each_service


def _report(campaign: str, word: object = "Running", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """The documented progress of *campaign*."""
    document: dict[str, Any] = json.loads(payload("campaign_progress"))
    return document | {"trackingId": campaign, "campaignStatus": word} | changes


def _campaign(service: Service, campaign: object) -> dict[str, Any]:
    return service.read(f"/v1/campaigns/{quote(str(campaign), safe='')}")


def _history(service: Service, campaign: object, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    path = f"/v1/campaigns/{campaign}/progress"
    items: list[dict[str, Any]] = service.read(path, **parameters)["items"]
    return items


def _assert_no_message(service: Service, tracking_id: str) -> None:
    assert service.get(f"/v1/messages/{tracking_id}").status_code == 404
    assert service.read(f"/v1/status/{tracking_id}")["kind"] == "campaign"
    for table in ("messages", "events"):
        query = f"SELECT FROM {table} WHERE message_tracking_id = $1"
        assert service.sql(query, tracking_id) == []


def _feed_end(service: Service) -> list[int]:
    tables = ("events", "inbound_messages")
    return [service.sql(f"SELECT coalesce(max(id), 0) FROM {it}")[0][0] for it in tables]  # noqa: S608


@pytest.mark.parametrize("kind", KINDS)
def test_the_documented_progress_is_shown_with_its_campaign(service: Service, kind: str) -> None:
    campaign = new_id("c")
    service.stored(_report(campaign), kind=kind)
    shown = _campaign(service, campaign)
    assert (shown["submission"], shown["trackingId"], shown["total"]) == ("observed", campaign, 0)
    received_at = shown["progress"].pop("receivedAt")
    assert received_at.endswith("Z")
    assert shown["progress"] == {
        "campaignStatus": "Running",
        "messageStatuses": {"Queued": 1, "Delivered": 2},
        "totalRecipients": 3,
        "name": "Spring sale",
        "occurredAt": None,
    }
    (item,) = _history(service, campaign)
    assert item.pop("id").isdecimal()
    assert item == shown["progress"] | {"receivedAt": received_at}
    _assert_no_message(service, campaign)
    listed = service.read("/v1/campaigns")["items"]
    assert [it["progress"] for it in listed if it["trackingId"] == campaign] == [
        shown["progress"] | {"receivedAt": received_at}
    ]


def test_a_campaign_without_a_report_has_no_progress(service: Service) -> None:
    tracking_id = new_id("c")
    campaign_id, _ = service.add_campaign(tracking_id)
    nameless, _ = service.add_campaign(submission="launching")
    for campaign in (tracking_id, campaign_id, nameless):
        assert _campaign(service, campaign)["progress"] is None
        assert _history(service, campaign) == []
    assert service.get(f"/v1/campaigns/{new_id('c')}/progress").status_code == 404


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_campaign_stays_a_campaign_whatever_comes_first(
    service: Service, order: tuple[int, ...]
) -> None:
    campaign = new_id("c")
    document = progress(campaignTrackingId=campaign)
    bodies = [
        _report(campaign, "Queued", updatedDate="2026-03-01T10:00:00Z"),
        _report(campaign, "Running", updatedDate="2026-03-01T10:01:00Z"),
        _report(campaign, "Finished", updatedDate="2026-03-01T10:02:00Z"),
        document,
    ]
    for at in (*order, *reversed(order)):
        service.stored(bodies[at], kind=KINDS[at % 2])
    shown = _campaign(service, campaign)
    assert shown["progress"]["campaignStatus"] == "Finished"
    assert shown["progress"]["occurredAt"] == "2026-03-01T10:02:00Z"
    assert shown["total"] == 1
    words = [item["campaignStatus"] for item in _history(service, campaign)]
    assert words == ["Queued", "Running", "Finished"]
    assert service.message(document["trackingId"])["status"] == "DELIVERED"
    assert len(service.history(document["trackingId"])) == 1
    _assert_no_message(service, campaign)


def test_reports_without_a_time_are_in_the_order_of_their_first_receipt(service: Service) -> None:
    campaign = new_id("c")
    reports = [
        _report(campaign, "Queued"),
        _report(campaign, "Running", messageStatuses={"Queued": 2}),
        _report(campaign, "Running", messageStatuses={"Queued": 1}),
        _report(campaign, "Finished"),
    ]
    service.stored(reports[0])
    service.stored(reports[1:])  # together, in an array
    for report in reports[:3]:
        service.stored(report)  # late repetitions
    history = _history(service, campaign)
    assert [(it["campaignStatus"], it["messageStatuses"]) for it in history] == [
        (it["campaignStatus"], it["messageStatuses"]) for it in reports
    ]
    assert _campaign(service, campaign)["progress"]["campaignStatus"] == "Finished"


def test_a_report_with_an_odd_member_is_stored_and_its_payload_readable(service: Service) -> None:
    odd: list[object] = [
        None, True, -1, 10**30, 1.5, "", "x\0\ud800", "x" * 5000, [], [1], {}, {"": 1},
        {"a": None, "b": "2", "c": 10**40, "d\0": 3, "e": {}},
    ]  # fmt: skip
    for field in ("campaignStatus", "messageStatuses", "totalRecipients", "name", "callbackInfo"):
        for value in odd:
            campaign = new_id("c")
            report = _report(campaign) | {field: value}
            service.stored(report)
            path = f"/v1/campaigns/{campaign}/progress"
            (item,) = service.read(path, Scope.ADMIN, raw=True)["items"]
            assert json.loads(item["raw"]) == report
            _assert_no_message(service, campaign)
    campaign = new_id("c")
    counts: dict[str, Any] = {"a": None, "Sent": "2", "c": 10**40, "d\0": 3, "e": {}}
    service.stored(_report(campaign, "x\0y", messageStatuses=counts, totalRecipients="7"))
    shown = _campaign(service, campaign)["progress"]
    assert (shown["campaignStatus"], shown["totalRecipients"]) == ("x\ufffdy", 7)
    assert shown["messageStatuses"] == {"Sent": 2, "d\ufffd": 3}


def test_the_history_of_a_campaign_comes_page_by_page(service: Service) -> None:
    campaign = new_id("c")
    reports = [_report(campaign, messageStatuses={"Queued": at}) for at in range(7)]
    service.stored(reports)
    words: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read(f"/v1/campaigns/{campaign}/progress", limit=3, **cursor)
        words += [item["messageStatuses"]["Queued"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert words == list(range(7))
    answer = service.get(f"/v1/campaigns/{campaign}/progress", cursor="x")
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:routee-receiver:problem:invalid-cursor"


def test_the_token_in_a_report_is_masked_but_for_admins(service: Service) -> None:
    campaign = new_id("c")
    info = {"url": f"https://receiver.example/callbacks/{SECRET}/status"}
    service.stored(_report(campaign, callbackInfo=info))
    (item,) = _history(service, campaign, raw=True)
    assert SECRET not in item["raw"]
    assert "/callbacks/***/status" in item["raw"]
    (item,) = service.read(f"/v1/campaigns/{campaign}/progress", Scope.ADMIN, raw=True)["items"]
    assert json.loads(item["raw"])["callbackInfo"] == info
    assert SECRET not in json.dumps(_campaign(service, campaign))


def test_an_unchanged_campaign_has_the_same_tag_until_it_progresses(service: Service) -> None:
    campaign = new_id("c")
    service.stored(_report(campaign))
    for path in (f"/v1/campaigns/{campaign}", f"/v1/status/{campaign}"):
        tag = service.get(path).headers["etag"]
        service.stored(_report(campaign))
        assert service.get(path).headers["etag"] == tag
    service.stored(_report(campaign, "Finished"))
    assert service.get(path).headers["etag"] != tag


def test_the_feed_has_nothing_of_a_report(service: Service) -> None:
    before = _feed_end(service)
    service.stored([_report(new_id("c")), _report(new_id("c"), "Finished")])
    assert _feed_end(service) == before


@pytest.mark.parametrize("submission", ["launching", "unconfirmed", "launched"])
def test_a_report_through_its_token_tells_which_campaign_it_is(
    service: Service, submission: str
) -> None:
    tracking_id = new_id("c")
    campaign_id, token = service.add_campaign(submission=submission)
    nameless = progress(campaignTrackingId=None)
    service.stored(nameless, token=token)
    service.stored(_report(tracking_id), token=token)
    shown = _campaign(service, campaign_id)
    assert (shown["trackingId"], shown["submission"]) == (tracking_id, "launched")
    assert shown["progress"]["campaignStatus"] == "Running"
    assert service.message(nameless["trackingId"])["campaignTrackingId"] == tracking_id
    assert shown["total"] == 1
    _assert_no_message(service, tracking_id)


def test_a_report_of_our_campaign_is_shown_by_either_id(service: Service) -> None:
    tracking_id = new_id("c")
    campaign_id, token = service.add_campaign(tracking_id)
    service.stored(_report(tracking_id), token=token)
    service.stored(_report(tracking_id))  # by a shared secret
    assert _campaign(service, tracking_id) == _campaign(service, campaign_id)
    assert len(_history(service, campaign_id)) == 1


def test_a_report_of_a_campaign_that_was_launched_here_is_shown_with_it(
    fast_service: Service,
) -> None:
    launched = fast_service.launched()
    fast_service.stored(_report(launched["trackingId"]))
    shown = _campaign(fast_service, launched["id"])
    assert shown["submission"] == "launched"
    assert shown["progress"]["messageStatuses"] == {"Queued": 1, "Delivered": 2}


@pytest.mark.parametrize("in_array", [False, True])
@pytest.mark.parametrize("submission", ["launching", "launched"])
def test_a_report_of_another_campaign_of_ours_is_quarantined(
    service: Service, submission: str, *, in_array: bool
) -> None:
    own = new_id("a") if submission == "launched" else None
    campaign_a, token_a = service.add_campaign(own, submission=submission)
    tracking_b = new_id("b")
    campaign_b, _ = service.add_campaign(tracking_b)
    foreign = json.dumps(_report(tracking_b), separators=(",", ":")).encode()
    service.quarantined(b"[%b]" % foreign if in_array else foreign, token=token_a)
    _assert_mismatch(service, foreign, campaign_a)
    assert _campaign(service, campaign_b)["progress"] is None
    shown = _campaign(service, campaign_a)
    assert (shown["trackingId"], shown["submission"]) == (own, submission)
    assert shown["progress"] is None


def _assert_mismatch(service: Service, body: bytes, campaign_id: UUID) -> None:
    row = service.in_quarantine(body)
    assert row is not None
    assert (row["reason"], row["campaign_id"]) == ("campaign-mismatch", campaign_id)


def test_of_an_array_only_the_foreign_reports_are_quarantined(service: Service) -> None:
    tracking_a, tracking_b = new_id("a"), new_id("b")
    _, token_a = service.add_campaign(tracking_a)
    service.add_campaign(tracking_b)
    document = progress(campaignTrackingId=tracking_a)
    service.quarantined([_report(tracking_a), _report(tracking_b), document], token=token_a)
    assert _campaign(service, tracking_a)["progress"] is not None
    assert _campaign(service, tracking_b)["progress"] is None
    assert service.message(document["trackingId"])["status"] == "DELIVERED"


def test_a_report_of_a_copy_made_in_the_console_is_stored_with_the_copy(service: Service) -> None:
    original, copy = new_id("a"), new_id("c")
    campaign_id, token = service.add_campaign(original)
    service.stored(_report(copy), token=token)
    assert _campaign(service, copy)["submission"] == "observed"
    assert _campaign(service, copy)["progress"]["campaignStatus"] == "Running"
    assert _campaign(service, campaign_id)["progress"] is None


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"status": None},
        {"to": "+306912345678", "from": "Shop"},
        {"messages": []},
        {"name": "x"},
    ],
)
def test_an_id_alone_is_quarantined_and_no_message(
    service: Service, members: dict[str, Any]
) -> None:
    body = json.dumps({"trackingId": new_id(), **members}).encode()
    service.quarantined(body)
    service.quarantined(body, kind="inbound")
    row = service.in_quarantine(body)
    assert row is not None
    assert (row["reason"], row["times"]) == ("no-status", 2)
    tracking_id = json.loads(body)["trackingId"]
    assert service.get(f"/v1/status/{tracking_id}").status_code == 404


@pytest.mark.parametrize("odd", ["", [], {}, 0, False, {"name": None}])
def test_a_status_of_any_type_is_stored_as_an_event(service: Service, odd: object) -> None:
    tracking_id = new_id()
    service.stored({"trackingId": tracking_id, "status": odd})
    assert service.message(tracking_id)["status"] == "UNKNOWN"


def _envelope(campaign: str | None, *legs: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"trackingId": new_id("flow"), "campaignTrackingId": campaign, "messages": legs, **more}


def _leg(word: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"trackingId": new_id(), "status": status(word, "2026-03-01T10:00:00Z"), **changes}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_array", [False, True])
def test_the_legs_of_an_envelope_are_messages_and_the_envelope_is_none(
    service: Service, kind: str, *, in_array: bool
) -> None:
    campaign = new_id("c")
    legs = [_leg("UNDELIVERED", label="viber"), _leg("DELIVERED", to="+306900000001")]
    envelope = _envelope(campaign, *legs, label="spring", to="+306912345678")
    for _ in range(2):
        service.stored([envelope] if in_array else envelope, kind=kind)
    viber, sms = (service.message(leg["trackingId"]) for leg in legs)
    assert (viber["status"], viber["label"], viber["to"]) == (
        "UNDELIVERED", "viber", "+306912345678",
    )  # fmt: skip
    assert (sms["status"], sms["label"], sms["to"]) == ("DELIVERED", "spring", "+306900000001")
    assert service.get(f"/v1/status/{envelope['trackingId']}").status_code == 404
    counts = _campaign(service, campaign)["counts"]
    assert {word: number for word, number in counts.items() if number} == {
        "UNDELIVERED": 1, "DELIVERED": 1,
    }  # fmt: skip
    for leg in legs:
        (event,) = service.history(leg["trackingId"], raw=True)
        assert json.loads(event["raw"]).items() >= leg.items()


def test_the_documented_envelope_is_stored_as_its_messages(service: Service) -> None:
    document = json.loads(payload("failover"))
    document["trackingId"] = new_id("flow")
    document["messages"][0]["trackingId"] = viber = new_id()
    document["messages"][1]["messageId"] = sms = new_id()
    service.stored(document)
    assert service.message(viber)["status"] == "UNDELIVERED"
    assert service.message(sms)["status"] == "DELIVERED"
    assert service.get(f"/v1/status/{document['trackingId']}").status_code == 404


def test_an_envelope_with_legs_that_cannot_be_read_is_quarantined_once_and_the_others_stored(
    service: Service,
) -> None:
    leg = _leg("SEEN")
    body = json.dumps(_envelope(new_id("c"), leg, {"trackingId": new_id()}, {})).encode()
    service.quarantined(body)
    assert service.message(leg["trackingId"])["status"] == "SEEN"
    row = service.in_quarantine(body)
    assert row is not None
    assert (row["reason"], row["times"]) == ("partly-unreadable", 1)


def test_the_campaign_of_an_envelope_is_checked_for_each_leg(service: Service) -> None:
    tracking_a, tracking_b = new_id("a"), new_id("b")
    _, token_a = service.add_campaign(tracking_a)
    service.add_campaign(tracking_b)
    own, foreign = _leg("SEEN", campaignTrackingId=tracking_a), _leg("SEEN")
    service.quarantined(_envelope(tracking_b, own, foreign), token=token_a)
    assert service.message(own["trackingId"])["campaignTrackingId"] == tracking_a
    assert service.get(f"/v1/messages/{foreign['trackingId']}").status_code == 404
    (row,) = service.sql(
        "SELECT reason FROM quarantine WHERE position($1::bytea IN body) > 0",
        foreign["trackingId"].encode(),
    )
    assert row["reason"] == "campaign-mismatch"


def test_an_envelope_may_hold_replies_and_reports(service: Service) -> None:
    campaign, reference = new_id("c"), new_id()
    answer = reply(referenceTrackingId=reference, direction=None, campaignTrackingId=None)
    service.stored(_envelope(campaign, answer, _report(campaign), direction="Inbound"))
    (item,) = service.replies(referenceTrackingId=reference)
    assert item["campaignTrackingId"] == campaign
    assert _campaign(service, campaign)["progress"]["campaignStatus"] == "Running"
    _assert_no_message(service, campaign)
