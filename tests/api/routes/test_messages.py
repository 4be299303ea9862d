import json
from itertools import permutations
from typing import Any
from urllib.parse import quote

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import SECRET, Service, new_id, progress, status

QUEUED = status("QUEUED", "2026-03-01T10:00:00.000Z")
DELIVERED = status("DELIVERED", "2026-03-01T10:00:01.500Z")
SEEN = status("SEEN", "2026-03-01T10:00:09Z")


def _counts(service: Service, campaign: object) -> dict[str, int]:
    counts: dict[str, int] = service.read(f"/v1/campaigns/{campaign}")["counts"]
    return {name: count for name, count in counts.items() if count}


def test_late_and_doubled_callbacks_do_not_undo_seen(service: Service) -> None:
    document = progress()
    for reached in (SEEN, SEEN, DELIVERED, DELIVERED, QUEUED, QUEUED):
        service.stored({**document, "status": reached})
    message = service.message(document["trackingId"])
    assert (message["status"], message["final"]) == ("SEEN", True)
    assert message["statusAt"] == message["seenAt"] == "2026-03-01T10:00:09Z"
    assert message["deliveredAt"] == "2026-03-01T10:00:01.500000Z"
    assert message["queuedAt"] == "2026-03-01T10:00:00Z"
    assert message["detailedStatus"] == "reason of SEEN"
    history = service.history(document["trackingId"])
    assert [(step["status"], step["changed"], step["reason"]) for step in history] == [
        ("SEEN", True, "advanced"),
        ("DELIVERED", False, "filled"),
        ("QUEUED", False, "filled"),
    ]
    assert [step["source"] for step in history] == ["callback"] * 3
    assert history[0].keys() == {
        "id",
        "status",
        "providerStatus",
        "detailedStatus",
        "description",
        "occurredAt",
        "receivedAt",
        "source",
        "changed",
        "reason",
    }
    assert _counts(service, document["campaignTrackingId"]) == {"SEEN": 1}


def test_a_campaign_that_only_a_late_callback_names_counts_the_message_where_it_is(
    service: Service,
) -> None:
    document = progress()
    service.stored({**document, "campaignTrackingId": None, "status": SEEN})
    service.stored({**document, "status": DELIVERED})
    service.stored({**document, "campaignTrackingId": None, "status": QUEUED})
    message = service.message(document["trackingId"])
    assert message["status"] == "SEEN"
    assert message["campaignTrackingId"] == document["campaignTrackingId"]
    campaign = service.read(f"/v1/campaigns/{document['campaignTrackingId']}")
    assert (campaign["counts"]["SEEN"], campaign["total"], campaign["finalCount"]) == (1, 1, 1)
    assert campaign["submission"] == "observed"


def test_every_order_leads_to_the_same_message(service: Service) -> None:
    found = []
    campaign = new_id("c")
    for order in permutations((SEEN, DELIVERED, QUEUED)):
        document = progress(campaignTrackingId=campaign)
        for reached in order:
            service.stored({**document, "status": reached})
        message = service.message(document["trackingId"])
        found.append(message | {"trackingId": None, "updatedAt": None})
    assert all(message == found[0] for message in found)
    assert _counts(service, campaign) == {"SEEN": 6}


def test_a_failure_may_still_become_delivered_and_keeps_when_it_failed(service: Service) -> None:
    document = progress()
    service.stored({**document, "status": status("FAILED", "2026-03-01T10:00:00Z")})
    assert service.message(document["trackingId"])["final"] is True
    service.stored({**document, "status": status("DELIVERED", "2026-03-01T10:00:05Z")})
    message = service.message(document["trackingId"])
    assert (message["status"], message["failedAt"]) == ("DELIVERED", "2026-03-01T10:00:00Z")


def test_a_later_event_of_lower_rank_is_marked_as_such(service: Service) -> None:
    document = progress()
    service.stored({**document, "status": DELIVERED})
    service.stored({**document, "status": status("QUEUED", "2026-03-02T00:00:00Z")})
    assert service.history(document["trackingId"])[1]["reason"] == "lower-rank"


def test_money_is_a_plain_decimal_string(service: Service) -> None:
    for price, shown in (
        ("0.0350", "0.035"),
        (1e-07, "0.0000001"),
        (100, "100"),
        ("1E+3", "1000"),
        (0, "0"),
        ("-0.0", "0"),
        (None, None),
    ):
        document = progress(price=price)
        service.stored(document)
        assert service.message(document["trackingId"])["price"] == shown


IDS = {
    "a slash": "a/b",
    "an encoded slash": "a%2Fb",
    "an encoded slash in lower case": "a%2fb",
    "a per cent sign": "100%",
    "per cent and digits": "%41",
    "a question mark": "a?limit=0",
    "a number sign": "a#b",
    "a blank": "a b",
    "other blanks": "a \u00a0\u200b b",
    "a plus": "a+b",
    "Greek": "Καλημέρα",
    "an emoji": "📨",
    "a combining accent": "e\u0301",
    "like the history": "a/events",
    "only the history": "events",
    "an ampersand": "a&b=c;d",
    "a backslash": "a\\b",
    "quotes": "\"'`",
    "a line feed": "a\nb",
    "dots": "..",
    "one dot": ".",
    "dots and a slash": "../messages",
    "a slash at both ends": "/a/",
    "two slashes": "//",
    "a replacement character": "\ufffd",
    "512 bytes": "€" * 170 + "xx",
    "a delete character": "\x7f",
}


@pytest.mark.parametrize("kind", IDS)
def test_an_opaque_id_is_found_again_when_it_is_percent_encoded(
    service: Service, kind: str
) -> None:
    tracking_id = IDS[kind]
    campaign = f"c{tracking_id}"[:100]
    service.stored(progress(trackingId=tracking_id, campaignTrackingId=campaign))
    encoded = quote(tracking_id, safe="").replace(".", "%2E")
    assert _read(service, f"messages/{encoded}")["trackingId"] == tracking_id
    assert _read(service, f"status/{encoded}")["kind"] == "message"
    assert len(_read(service, f"messages/{encoded}/events")["items"]) == 1
    encoded = quote(campaign, safe="")
    assert _read(service, f"campaigns/{encoded}")["trackingId"] == campaign
    items = _read(service, f"campaigns/{encoded}/messages")["items"]
    assert tracking_id in [item["trackingId"] for item in items]


def _read(service: Service, path: str) -> dict[str, Any]:
    """Over a bare socket: clients tidy up paths."""
    status_line, document = _get(service, f"/v1/{path}")
    assert status_line.startswith("HTTP/1.1 200 ")
    return document


def _get(service: Service, target: str) -> tuple[str, dict[str, Any]]:
    authorization = service.bearer(Scope.READ)["Authorization"]
    answer = service.raw(
        f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().partition("\r\n")[0], json.loads(body) if body[:1] == b"{" else {}


NO_IDS = {
    "nothing": "",
    "NUL": "a%00b",
    "a broken encoding": "%zz",
    "half an encoding": "a%",
    "one digit": "%4",
    "not UTF-8": "%ff",
    "half a character": "%e2%82",
    "a surrogate": "%ed%a0%80",
    "600 bytes": "x" * 600,
    "600 bytes encoded": "%78" * 600,
    "more segments": "a/b/c",
    "8 kB": "x" * 8000,
}


@pytest.mark.parametrize("path", ["messages/{}", "campaigns/{}", "status/{}", "messages/{}/events",
    "campaigns/{}/messages", "inbound-messages/{}"])  # fmt: skip
@pytest.mark.parametrize("kind", NO_IDS)
def test_an_impossible_id_is_not_found(service: Service, path: str, kind: str) -> None:
    target = "/v1/" + path.format(NO_IDS[kind])
    status_line, document = _get(service, target)
    if status_line.startswith("HTTP/1.1 307 "):
        assert kind == "nothing"
        return
    assert status_line.startswith(("HTTP/1.1 404 ", "HTTP/1.1 405 ")), status_line
    assert document["status"] in {404, 405}


def test_a_path_with_raw_bytes_is_the_callers_fault(service: Service) -> None:
    authorization = service.bearer(Scope.READ)["Authorization"].encode()
    for target in (b"/v1/messages/\xff", "/v1/messages/é".encode(), b"/v1/messages/a\x01"):
        answer = service.raw(
            b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nConnection: close\r\n\r\n"
            % (target, authorization)
        )
        assert answer.startswith(b"HTTP/1.1 40")


def test_raw_payloads_come_only_when_asked_for(service: Service) -> None:
    document = progress()
    service.stored(document)
    (step,) = service.history(document["trackingId"])
    assert "raw" not in step
    (step,) = service.history(document["trackingId"], raw=True)
    assert json.loads(step["raw"]) == document


@pytest.mark.parametrize(
    "spelling",
    [
        "https://receiver.example/callbacks/{}/inbound",
        "https:\\/\\/receiver.example\\/callbacks\\/{}\\/inbound",
        "https%3A%2F%2Freceiver.example%2Fcallbacks%2F{}%2Finbound",
        "https%3a%2f%2freceiver.example%2fcallbacks%2f{}%2finbound",
    ],
)
@pytest.mark.parametrize("kind", ["secret", "campaign"])
def test_tokens_in_raw_payloads_are_masked_but_for_admins(
    service: Service, spelling: str, kind: str
) -> None:
    campaign_token = service.add_campaign(new_id("c"))[1]
    token = {"secret": SECRET, "campaign": campaign_token}[kind]
    tracking_id = new_id()
    url = spelling.format(token)
    body = f'{{"trackingId":"{tracking_id}","status":"SEEN","inboundUrl":"{url}"}}'
    service.stored(body.encode())
    (step,) = service.history(tracking_id, raw=True)
    assert token not in step["raw"]
    assert "***" in step["raw"]
    assert json.loads(step["raw"])["trackingId"] == tracking_id
    (step,) = service.history(tracking_id, scope=Scope.ADMIN, raw=True)
    assert step["raw"] == body


def test_the_history_comes_page_by_page(service: Service) -> None:
    document = progress()
    for second in range(7):
        at = f"2026-03-01T10:00:0{second}Z"
        service.stored({**document, "status": status("QUEUED", at)})
    path = f"/v1/messages/{document['trackingId']}/events"
    pages = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read(path, limit=3, **cursor)
        pages.append(page["items"])
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [item for page in pages for item in page] == service.history(document["trackingId"])


def test_a_status_names_what_it_is_of(service: Service) -> None:
    document = progress()
    service.stored(document)
    message = service.read(f"/v1/status/{document['trackingId']}")
    assert message.pop("kind") == "message"
    explained = service.message(document["trackingId"])
    assert message | {"explanation": explained["explanation"]} == explained
    campaign = service.read(f"/v1/status/{document['campaignTrackingId']}")
    assert campaign.pop("kind") == "campaign"
    assert campaign == service.read(f"/v1/campaigns/{document['campaignTrackingId']}")
    assert service.get(f"/v1/status/{new_id()}").status_code == 404
