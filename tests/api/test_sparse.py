"""With `fields`, items have the members that it names, and no others."""

from typing import Any

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply, status


@pytest.fixture(scope="module")
def known(service: Service) -> dict[str, Any]:
    campaign = service.launched()
    document = progress(
        campaignTrackingId=campaign["trackingId"],
        to=campaign["to"][0],
        status=status("SEEN", "2026-03-01T10:00:00.123Z"),
        price=0.0350,
        label='Ωmega "\\ \u2028 \ud83d\ude00',
    )
    service.stored(document)
    service.stored(reply(referenceTrackingId=document["trackingId"]))
    (item,) = service.replies(referenceTrackingId=document["trackingId"])
    service.knows_events_of(campaign["trackingId"])
    return {
        "message": document["trackingId"],
        "campaign": campaign["trackingId"],
        "reply": item["id"],
    }


ITEMS = [
    "/v1/messages/{message}",
    "/v1/inbound-messages/{reply}",
    "/v1/campaigns/{campaign}",
]
LISTS = [
    "/v1/messages?campaignTrackingId={campaign}",
    "/v1/messages?updatedAfter=NOW&campaignTrackingId={campaign}",
    "/v1/campaigns/{campaign}/messages",
    "/v1/inbound-messages?referenceTrackingId={message}",
    "/v1/inbound-messages?limit=3",
    "/v1/campaigns?limit=3",
    "/v1/events?campaignTrackingId={campaign}",
    "/v1/events?limit=5&type=message.inbound",
]


def _items(service: Service, path: str, fields: str | None) -> list[dict[str, Any]]:
    query = {} if fields is None else {"fields": fields}
    url = path.replace("NOW", "2020-01-01T00:00:00Z")
    url += ("&" if "?" in url else "?") + "&".join(f"{n}={v}" for n, v in query.items())
    answer = service.get(url.rstrip("?&"))
    assert answer.status_code == 200, answer.text
    document = answer.json()
    items: list[dict[str, Any]] = document.get("items", [document])
    return items


@pytest.mark.parametrize("path", [*ITEMS, *LISTS])
def test_each_member_can_be_asked_for(service: Service, known: dict[str, Any], path: str) -> None:
    path = path.format_map(known)
    whole = _items(service, path, None)
    assert whole
    assert _items(service, path, "*") == whole
    for name in whole[0]:
        assert _items(service, path, name) == [{name: item[name]} for item in whole]
    some = list(whole[0])[1:4]
    assert _items(service, path, ",".join(reversed(some))) == [
        {name: item[name] for name in some} for item in whole
    ]


@pytest.mark.parametrize("path", [*ITEMS, *LISTS])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", "must be names"),
        ("*,", "must be names"),
        ("*,nonsense", "unknown member nonsense"),
        ("a%3Bx", "unknown member a;x"),
    ],
)
def test_a_member_that_is_not_known_is_refused(
    service: Service, known: dict[str, Any], path: str, fields: str, message: str
) -> None:
    path = path.format_map(known).replace("NOW", "2020-01-01T00:00:00Z")
    query = f"{'&' if '?' in path else '?'}fields={fields}"
    answer = service.client.get(path + query, headers=service.bearer(Scope.READ))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == "fields"
    assert error["message"].startswith(message)


def test_a_similar_member_is_suggested(service: Service) -> None:
    for path, name, meant in (
        ("/v1/messages/x", "trackingID", "trackingId"),
        ("/v1/campaigns", "viber_analysis", "viberAnalysis"),
        ("/v1/events", "received_at", "receivedAt"),
    ):
        (error,) = service.get(path, fields=name).json()["errors"]
        assert error["message"] == f"unknown member {name}: did you mean {meant}?"


def test_many_messages_are_looked_up_sparsely(service: Service, known: dict[str, Any]) -> None:
    answer = service.client.post(
        "/v1/messages/lookup?fields=status,trackingId",
        json={"trackingIds": [known["message"], "nobody"]},
        headers=service.bearer(Scope.READ),
    )
    assert answer.json() == {
        "items": [{"trackingId": known["message"], "status": "SEEN"}],
        "notFound": ["nobody"],
    }


@pytest.mark.parametrize("path", ["/v1/messages/{message}", "/v1/campaigns/{campaign}"])
def test_an_entity_tag_is_of_the_members_that_were_asked_for(
    service: Service, known: dict[str, Any], path: str
) -> None:
    path = path.format_map(known)
    tags = [
        service.get(path + query).headers["etag"]
        for query in ("", "?fields=label", "?fields=label,updatedAt", "?fields=label")
    ]
    assert len(set(tags)) == 3
    assert tags[1] == tags[3]


def test_a_cursor_goes_on_with_other_members(service: Service) -> None:
    label = new_id("label")
    service.stored([progress(label=label) for _ in range(3)])
    first = service.read("/v1/messages", label=label, limit=2, fields="trackingId")
    assert [list(item) for item in first["items"]] == [["trackingId"]] * 2
    rest = service.read("/v1/messages", label=label, limit=2, cursor=first["nextCursor"])
    assert len(rest["items"]) == 1
    assert "status" in rest["items"][0]
