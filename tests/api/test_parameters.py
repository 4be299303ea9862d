"""Parameters and members that a call does not have are refused by name, never ignored."""

from typing import Any
from urllib.parse import urlencode

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply, status

READS = [
    "/v1/messages/x",
    "/v1/messages/x/events",
    "/v1/messages?to=1",
    "/v1/status/x",
    "/v1/campaigns",
    "/v1/campaigns/x",
    "/v1/campaigns/x/messages",
    "/v1/campaigns/x/progress",
    "/v1/campaigns/x/reconciliation",
    "/v1/events",
    "/v1/inbound-messages",
    "/v1/inbound-messages/1",
    "/v1/exports/messages",
    "/v1/exports/events",
    "/v1/erasures/x",
    "/v1/quarantine",
    "/v1/quarantine/1",
]


def _errors(answer: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:routee-receiver:problem:invalid-request"
    return [(error["field"], error["message"]) for error in answer.json()["errors"]]


def _asked(service: Service, path: str, *parameters: tuple[str, str]) -> Any:  # noqa: ANN401
    query = urlencode(parameters)
    url = f"{path}{'&' if '?' in path else '?'}{query}"
    return service.client.get(url, headers=service.bearer(Scope.ADMIN))


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("name", ["nonsense", "LIMIT_", "a[b]", "é"])
def test_no_call_ignores_a_parameter(service: Service, path: str, name: str) -> None:
    ((field, message),) = _errors(_asked(service, path, (name, "1")))
    assert field == name
    assert message.startswith(f"unknown parameter {name}")


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("/v1/events", "campaignTrackingID", "campaignTrackingId"),
        ("/v1/events", "campaign_tracking_id", "campaignTrackingId"),
        ("/v1/events", "campaign_tracking_ids", "campaignTrackingId"),
        ("/v1/events", "types", "type"),
        ("/v1/events", "kinds", None),
        ("/v1/messages", "updated_after", "updatedAfter"),
        ("/v1/campaigns", "createdsince", "createdSince"),
        ("/v1/inbound-messages", "recievedSince", "receivedSince"),
        ("/v1/campaigns/x/messages", "cursors", "cursor"),
        ("/v1/exports/events", "form", "format"),
        ("/v1/messages/x/events", "RAW", "raw"),
    ],
)
def test_a_similar_parameter_is_suggested(
    service: Service, path: str, name: str, meant: str | None
) -> None:
    suggestion = f": did you mean {meant}?" if meant else ""
    assert _errors(_asked(service, path, (name, "1"))) == [
        (name, f"unknown parameter {name}{suggestion}")
    ]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/campaigns?preflihgt=true", Scope.CAMPAIGNS),
        ("POST", "/v1/messages/lookup?x=", Scope.READ),
        ("DELETE", "/v1/campaigns/x?force=1", Scope.CAMPAIGNS),
        ("POST", "/v1/campaigns/x/resolve?submission=rejected", Scope.ADMIN),
        ("DELETE", "/v1/recipients/+306900000000?dryRun=true", Scope.ADMIN),
    ],
)
def test_calls_that_change_something_refuse_them_before_they_do(
    service: Service, method: str, path: str, scope: Scope
) -> None:
    answer = service.client.request(method, path, json={}, headers=service.bearer(scope))
    ((field, _),) = _errors(answer)
    assert field == path.partition("?")[2].partition("=")[0]


def test_the_key_comes_before_the_parameters(service: Service) -> None:
    for path in READS:
        assert service.client.get(path, params={"x": "1"}).status_code == 401


def test_so_many_unknown_parameters_are_not_all_compared(service: Service) -> None:
    given = [(f"campaignTrackingI{number}", "1") for number in range(2000)]
    errors = _errors(_asked(service, "/v1/events", *given))
    assert 0 < len(errors) < 100


def test_a_long_name_is_cut_in_the_message(service: Service) -> None:
    ((_, message),) = _errors(_asked(service, "/v1/events", ("x" * 5000, "1")))
    assert len(message) < 200


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("/v1/events", "limit", ("1", "2")),
        ("/v1/events", "after", ("beginning", "now")),
        ("/v1/events", "wait", ("0", "0")),
        ("/v1/messages", "to", ("+306900000000", "+306900000001")),
        ("/v1/messages", "campaignTrackingId", ("a", "b")),
        ("/v1/inbound-messages", "from", ("+306900000000", "+306900000001")),
        ("/v1/campaigns", "label", ("a", "b")),
        ("/v1/campaigns/x/messages", "to", ("1", "2")),
        ("/v1/exports/messages", "format", ("csv", "ndjson")),
    ],
)
def test_a_second_value_is_refused_where_one_is_taken(
    service: Service, path: str, name: str, values: tuple[str, str]
) -> None:
    ((field, message),) = _errors(_asked(service, path, *((name, value) for value in values)))
    assert field == name
    assert name in message


def test_several_statuses_are_asked_for_at_once(service: Service) -> None:
    campaign, label = new_id("c"), new_id("label")
    reached = {
        word: progress(campaignTrackingId=campaign, label=label, status=status(word))
        for word in ("SEEN", "DELIVERED", "FAILED")
    }
    service.stored(list(reached.values()))
    for path in (f"/v1/messages?label={label}", f"/v1/campaigns/{campaign}/messages"):
        for words in (("SEEN", "FAILED"), ("FAILED", "SEEN"), ("SEEN", "SEEN"), ("QUEUED",)):
            answer = _asked(service, path, *(("status", word) for word in words))
            found = {item["trackingId"] for item in answer.json()["items"]}
            assert found == {reached[word]["trackingId"] for word in words if word in reached}
    answer = _asked(
        service,
        f"/v1/campaigns/{campaign}/messages",
        ("status", "SEEN"),
        ("status", "FAILED"),
        ("status", "AWAITING"),
    )
    assert answer.json()["total"] == 2


def test_a_page_goes_on_whatever_the_order_of_the_statuses(service: Service) -> None:
    label = new_id("label")
    service.stored([progress(label=label, status=status("SEEN")) for _ in range(3)])
    both = [("status", "SEEN"), ("status", "QUEUED"), ("limit", "2"), ("label", label)]
    first = _asked(service, "/v1/messages", *both).json()
    following = ("cursor", first["nextCursor"])
    second = _asked(service, "/v1/messages", *both[1::-1], *both[2:], following).json()
    assert len(first["items"]) + len(second["items"]) == 3


def test_messages_that_are_awaited_and_some_others_are_asked_for_at_once(service: Service) -> None:
    campaign = service.launched()
    first, second = campaign["to"]
    service.stored(
        progress(campaignTrackingId=campaign["trackingId"], to=first, status=status("SEEN"))
    )
    path = f"/v1/campaigns/{campaign['id']}/messages"
    for words, numbers in (
        (("SEEN", "AWAITING"), [first, second]),
        (("QUEUED", "AWAITING"), [second]),
        (("SEEN", "QUEUED"), [first]),
    ):
        answer = _asked(service, path, *(("status", word) for word in words))
        assert [item["to"] for item in answer.json()["items"]] == numbers


def test_an_unknown_value_among_many_is_refused_by_the_name_of_its_parameter(
    service: Service,
) -> None:
    for path, name, good in (
        ("/v1/messages", "status", "SEEN"),
        ("/v1/events", "type", "message.status"),
        ("/v1/campaigns", "submission", "launched"),
        ("/v1/campaigns/x/messages", "status", "AWAITING"),
    ):
        ((field, _),) = _errors(_asked(service, path, (name, good), (name, "nonsense")))
        assert field == name


def test_campaigns_in_several_states_are_asked_for_at_once(service: Service) -> None:
    label = new_id("label")
    launched = service.launched(label=label)
    service.launch(label=label, senderInfoTrackingId="unknown-sender")
    words = ("launched", "rejected", "cancelled")
    given = [("submission", word) for word in words]
    items = _asked(service, f"/v1/campaigns?label={label}", *given).json()["items"]
    assert {item["submission"] for item in items} == {"launched", "rejected"}
    items = _asked(service, f"/v1/campaigns?label={label}", *given[::2]).json()["items"]
    assert [item["id"] for item in items] == [launched["id"]]


def test_the_feed_of_several_campaigns_has_their_items(service: Service) -> None:
    campaigns = [new_id("c") for _ in range(3)]
    for campaign in campaigns:
        service.stored(progress(campaignTrackingId=campaign))
        service.stored(reply(campaignTrackingId=campaign))
    given = [("campaignTrackingId", one) for one in campaigns[:2]]
    items = _asked(service, "/v1/events", *given).json()["items"]
    assert {item["campaignTrackingId"] for item in items} == set(campaigns[:2])
    assert len(items) == 4
    items = _asked(service, "/v1/events?type=message.inbound", *given).json()["items"]
    assert [item["type"] for item in items] == ["message.inbound"] * 2
    many = [("campaignTrackingId", campaigns[0])] * 21
    ((field, _),) = _errors(_asked(service, "/v1/events", *many))
    assert field == "campaignTrackingId"


@pytest.mark.parametrize(
    ("path", "body", "name", "meant"),
    [
        (
            "/v1/messages/lookup",
            {"trackingIds": ["x"], "trackingIDs": ["y"]},
            "trackingIDs",
            "trackingIds",
        ),
        ("/v1/messages/lookup", {"trackingIds": ["x"], "limit": 3}, "limit", None),
        (
            "/v1/campaigns/x/resolve",
            {"submission": "launched", "trackingID": "y"},
            "trackingID",
            "trackingId",
        ),
    ],
)
def test_a_member_of_a_body_is_not_ignored_either(
    service: Service, path: str, body: dict[str, Any], name: str, meant: str | None
) -> None:
    answer = service.client.post(path, json=body, headers=service.bearer(Scope.ADMIN))
    ((field, message),) = _errors(answer)
    suggestion = f": did you mean {meant}?" if meant else ""
    assert (field, message) == (name, f"unknown member {name}{suggestion}")


@pytest.mark.parametrize("name", ["\\ud800", "\\u0000", "x" * 100_000])
def test_any_name_of_a_member_can_be_refused(service: Service, name: str) -> None:
    body = f'{{"trackingIds": ["x"], "{name}": 1}}'.encode()
    answer = service.client.post(
        "/v1/messages/lookup", content=body, headers=service.bearer(Scope.READ)
    )
    assert len(_errors(answer)) == 1


def test_callbacks_and_operations_are_not_concerned(service: Service) -> None:
    service.stored(progress(), params={"x": "1"})
    assert service.client.get("/livez?x=1").status_code == 200
