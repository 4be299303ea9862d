"""What all lists have in common: limits, cursors, filters."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply, status


@pytest.fixture(scope="module")
def campaign(service: Service) -> str:
    """A campaign of 25 messages and 25 replies."""
    campaign = new_id("c")
    service.stored(
        [
            progress(
                trackingId=f"{campaign}-{number:02}",
                campaignTrackingId=campaign,
                to=f"+3069123456{number:02}",
                status=status("SEEN" if number % 5 == 0 else "DELIVERED"),
            )
            for number in range(25)
        ]
    )
    service.stored(
        [reply(campaignTrackingId=campaign, **{"from": "+306900000001"}) for _ in range(25)]
    )
    return campaign


@pytest.fixture(params=["messages", "replies"])
def path(request: pytest.FixtureRequest, campaign: str) -> str:
    """The path, with its filter, of a list of 25 items."""
    return {
        "messages": f"/v1/campaigns/{campaign}/messages?",
        "replies": f"/v1/inbound-messages?campaignTrackingId={campaign}",
    }[request.param]


def _walk(service: Service, path: str, limit: int) -> Iterator[list[dict[str, object]]]:
    cursor = ""
    while True:
        page = service.read(f"{path}&limit={limit}{cursor}")
        yield page["items"]
        if page["nextCursor"] is None:
            return
        assert set(page["nextCursor"]) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        )
        cursor = f"&cursor={page['nextCursor']}"


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [
        (10, [10, 10, 5]),
        (24, [24, 1]),
        (25, [25]),
        (5, [5] * 5),
        (1, [1] * 25),
        (1000, [25]),
    ],
)
def test_the_pages_of_a_list_have_each_item_exactly_once(
    service: Service, path: str, limit: int, sizes: list[int]
) -> None:
    pages = list(_walk(service, path, limit))
    assert [len(page) for page in pages] == sizes
    assert [item for page in pages for item in page] == service.read(path)["items"]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "abc", "", "1.5", "9" * 5000, "%00"])
def test_a_limit_out_of_bounds_is_named(service: Service, path: str, limit: str) -> None:
    answer = service.get(f"{path}&limit={limit}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == "limit"
    assert error["message"]


def test_every_fault_is_named_at_once(service: Service) -> None:
    answer = service.get(
        "/v1/inbound-messages?limit=0&receivedSince=x&from=%00&receivedBefore=2026"
    )
    assert answer.status_code == 422
    fields = [error["field"] for error in answer.json()["errors"]]
    assert sorted(fields) == ["from", "limit", "receivedBefore", "receivedSince"]


def _tampered(cursor: str) -> Iterator[str]:
    yield cursor[:-1]
    yield cursor + "A"
    yield ("A" if cursor[0] != "A" else "B") + cursor[1:]
    yield cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]
    yield cursor[::-1]
    yield ""
    yield "x"
    yield "null"
    yield "é"
    yield "%00"
    yield "%ff"
    yield "=" * 100
    yield base64.urlsafe_b64encode(json.dumps([1, "x"]).encode()).decode()


def test_a_tampered_cursor_is_refused(service: Service, path: str) -> None:
    cursor = service.read(f"{path}&limit=3")["nextCursor"]
    for tampered in _tampered(cursor):
        answer = service.get(f"{path}&cursor={tampered}")
        assert answer.status_code == 400, tampered
        assert answer.json()["type"] == "urn:routee-receiver:problem:invalid-cursor"


def test_a_cursor_of_4097_characters_is_not_decoded(service: Service, path: str) -> None:
    assert service.get(f"{path}&cursor={'A' * 4097}").status_code == 422


def test_a_cursor_goes_on_in_its_own_list_only(service: Service, campaign: str) -> None:
    messages = f"/v1/campaigns/{campaign}/messages?"
    replies = f"/v1/inbound-messages?campaignTrackingId={campaign}"
    other = progress()
    service.stored(other)
    cursor = service.read(f"{messages}limit=3")["nextCursor"]
    for path in (
        replies,
        f"{messages}status=DELIVERED",
        f"{messages}to=%2B306912345601",
        f"/v1/campaigns/{other['campaignTrackingId']}/messages?",
        f"/v1/messages/{campaign}-01/events?",
    ):
        assert service.get(f"{path}&cursor={cursor}").status_code == 400, path
    cursor = service.read(f"{replies}&limit=3")["nextCursor"]
    for path in (
        messages,
        "/v1/inbound-messages?",
        f"{replies}&from=%2B306900000001",
        f"{replies}&receivedSince=2020-01-01T00:00:00Z",
    ):
        assert service.get(f"{path}&cursor={cursor}").status_code == 400, path


def test_messages_are_filtered_by_status_and_number(service: Service, campaign: str) -> None:
    path = f"/v1/campaigns/{campaign}/messages"
    assert len(service.read(path, status="SEEN")["items"]) == 5
    assert len(service.read(path, status="DELIVERED")["items"]) == 20
    assert service.read(path, status="QUEUED")["items"] == []
    (item,) = service.read(path, to="+306912345607")["items"]
    assert item["trackingId"] == f"{campaign}-07"
    assert service.read(path, to="+306912345607", status="SEEN")["items"] == []


@pytest.mark.parametrize(
    "spelling",
    [
        "%2B306912345607",
        "306912345607",
        "+306912345607",
        "00306912345607",
        "%E2%80%AA%2B30%C2%A0691%E2%80%912345607%E2%80%AC",
        "tel:%2B30-691-234-5607",
        "%D9%A3%D9%A0%D9%A6912345607",
    ],
)
def test_a_number_is_found_in_any_spelling(service: Service, campaign: str, spelling: str) -> None:
    """An unencoded plus in a query is a blank."""
    (item,) = service.read(f"/v1/campaigns/{campaign}/messages?to={spelling}")["items"]
    assert item["trackingId"] == f"{campaign}-07"


@pytest.mark.parametrize(
    "spelling",
    [
        "%2B306900000001",
        "306900000001",
        "+306900000001",
        "0030%20690-0000001",
        "3.06900000001E%2B11",
    ],
)
def test_a_sender_is_found_in_any_spelling(service: Service, campaign: str, spelling: str) -> None:
    path = f"/v1/inbound-messages?campaignTrackingId={campaign}&from={spelling}"
    assert len(service.read(path)["items"]) == 25


def test_an_unknown_status_is_named(service: Service, campaign: str) -> None:
    answer = service.get(f"/v1/campaigns/{campaign}/messages?status=LOST")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "status"


def test_replies_are_filtered_by_time(service: Service, campaign: str) -> None:
    items = service.read("/v1/inbound-messages", campaignTrackingId=campaign)["items"]
    at = items[0]["receivedAt"]
    mine: dict[str, Any] = {"campaignTrackingId": campaign}
    path = "/v1/inbound-messages"
    assert service.read(path, receivedSince=at, **mine)["items"] == items
    assert service.read(path, receivedBefore=at, **mine)["items"] == []


_TIME_FILTERS = [
    "/v1/messages?label=x&updatedAfter=",
    "/v1/inbound-messages?limit=1&receivedSince=",
    "/v1/inbound-messages?limit=1&receivedBefore=",
    "/v1/campaigns?limit=1&createdSince=",
    "/v1/campaigns?limit=1&createdBefore=",
    "/v1/exports/campaigns?since=",
    "/v1/exports/campaigns?until=",
    "/v1/events?limit=1&after=",
]


@pytest.mark.parametrize(
    "instant",
    [
        "2030-03-01T12:00:00+02:00",  # an unencoded plus in a query is a blank
        "2030-03-01T12:00:00%2B02:00",
        "2030-03-01T12:00:00.5+0200",
        "2030-03-01t12:00:00z",
        "20300301T120000Z",
        "2030-03-01T24:00:00Z",
        "2030-03-01T12:00:60%20UTC",
        "Fri,%2001%20Mar%202030%2012:00:00%20GMT",
    ],
)
@pytest.mark.parametrize("filter_", _TIME_FILTERS)
def test_every_time_filter_understands_every_spelling(
    service: Service, filter_: str, instant: str
) -> None:
    answer = service.get(filter_ + instant, Scope.ADMIN)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("instant", ["2030-03-01T12:00:00", "01/03/2030", "1898596800", "x"])
@pytest.mark.parametrize("filter_", _TIME_FILTERS)
def test_a_time_filter_refuses_what_leaves_the_time_open(
    service: Service, filter_: str, instant: str
) -> None:
    assert service.get(filter_ + instant, Scope.ADMIN).status_code in {400, 422}


def test_an_offset_counts_in_a_time_filter(service: Service, campaign: str) -> None:
    mine = f"/v1/inbound-messages?campaignTrackingId={campaign}"
    items = service.read(mine)["items"]
    at = datetime.fromisoformat(items[0]["receivedAt"])
    east = timezone(timedelta(hours=2))
    assert service.read(f"{mine}&receivedSince={at.astimezone(east).isoformat()}")["items"] == items
    assert service.read(f"{mine}&receivedBefore={at.astimezone(east).isoformat()}")["items"] == []


def test_an_id_is_found_in_capitals_and_with_blanks(service: Service) -> None:
    message, campaign = str(uuid4()), str(uuid4())
    document = progress(trackingId=message.upper(), campaignTrackingId=f" {campaign.upper()}")
    service.stored(document)
    service.stored(reply(referenceTrackingId=message.upper(), campaignTrackingId=campaign))
    for spelt in (message, message.upper(), f"%20{message.upper()}%C2%A0"):
        assert service.read(f"/v1/messages/{spelt}")["trackingId"] == message
        assert service.read(f"/v1/status/{spelt}")["trackingId"] == message
        assert len(service.read(f"/v1/messages/{spelt}/events")["items"]) == 1
        assert len(service.read(f"/v1/inbound-messages?referenceTrackingId={spelt}")["items"]) == 1
    for spelt in (campaign, campaign.upper(), f"%20{campaign.upper()}"):
        assert service.read(f"/v1/campaigns/{spelt}")["trackingId"] == campaign
        assert len(service.read(f"/v1/campaigns/{spelt}/messages")["items"]) == 1
        for path in ("messages", "inbound-messages", "events"):
            page = service.read(f"/v1/{path}?campaignTrackingId={spelt}")
            assert page["items"], path
        rows = service.get(
            f"/v1/exports/messages?campaignTrackingId={spelt}", Scope.ADMIN
        ).text.splitlines()
        assert len(rows) == 2


def test_a_look_up_finds_an_id_in_any_spelling_once(service: Service) -> None:
    message, unknown = str(uuid4()), str(uuid4()).upper()
    service.stored(progress(trackingId=message))
    asked = [unknown, message.upper(), f" {message}", message, unknown.lower()]
    answer = service.client.post(
        "/v1/messages/lookup", json={"trackingIds": asked}, headers=service.bearer(Scope.READ)
    ).json()
    assert [item["trackingId"] for item in answer["items"]] == [message]
    assert answer["notFound"] == [unknown, unknown.lower()]


def test_a_reply_belongs_to_the_campaign_of_what_it_answers(service: Service) -> None:
    document = progress()
    service.stored(document)
    answer = reply(referenceTrackingId=document["trackingId"], campaignTrackingId=None)
    service.stored(answer)
    (item,) = service.replies(campaignTrackingId=document["campaignTrackingId"])
    assert item["message"] == answer["message"]
    assert item["campaignTrackingId"] == document["campaignTrackingId"]


ODD = ["%00", "a%00b", "%ff", "%ed%a0%80", "%zz", "x" * 5000, "'--", "%25", "", "%F0%9F%93%A8"]


@pytest.mark.parametrize("value", ODD)
def test_odd_filters_are_never_our_fault(service: Service, campaign: str, value: str) -> None:
    for query in (
        f"/v1/campaigns/{campaign}/messages?to={value}",
        f"/v1/campaigns/{campaign}/messages?status={value}",
        f"/v1/campaigns/{campaign}/messages?cursor={value}",
        f"/v1/campaigns/{campaign}/messages?{value}={value}",
        f"/v1/inbound-messages?campaignTrackingId={value}",
        f"/v1/inbound-messages?referenceTrackingId={value}",
        f"/v1/inbound-messages?from={value}",
        f"/v1/inbound-messages?receivedSince={value}",
        f"/v1/inbound-messages?receivedBefore={value}",
        f"/v1/messages/{campaign}-01/events?raw={value}",
    ):
        assert service.get(query).status_code in {200, 400, 422}, query


@pytest.mark.parametrize(
    "instant",
    [
        "0001-01-01T00:00:00%2B14:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59.999999Z",
        "2026-03-01T00:00:00",
        "1e400",
        "-1",
        "99999999999999999999",
        "NaN",
        "-62135596800",
        "253402300799",
    ],
)
def test_odd_instants_are_never_our_fault(service: Service, instant: str) -> None:
    for name in ("receivedSince", "receivedBefore"):
        answer = service.get(f"/v1/inbound-messages?limit=1&{name}={instant}")
        assert answer.status_code in {200, 422}, answer.text


@pytest.mark.parametrize("number", ["0", "9223372036854775807", "9223372036854775808", "9" * 400])
def test_an_inbound_message_that_is_not_there_is_not_found(service: Service, number: str) -> None:
    assert service.get(f"/v1/inbound-messages/{number}").status_code == 404


def test_the_messages_of_an_unknown_campaign_are_not_found(service: Service) -> None:
    assert service.get(f"/v1/campaigns/{new_id()}/messages").status_code == 404
    assert service.get(f"/v1/messages/{new_id()}/events", Scope.ADMIN).status_code == 404
