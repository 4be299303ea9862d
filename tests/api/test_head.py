"""HEAD is answered as GET, without the body."""

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply


@pytest.fixture(scope="module")
def known(service: Service) -> dict[str, str]:
    document = progress()
    service.stored([document, progress(campaignTrackingId=document["campaignTrackingId"])])
    answer = reply(campaignTrackingId=document["campaignTrackingId"])
    service.stored(answer)
    (item,) = service.replies(campaignTrackingId=document["campaignTrackingId"])
    service.knows_events_of(document["campaignTrackingId"])
    return {
        "message": document["trackingId"],
        "campaign": document["campaignTrackingId"],
        "reply": item["id"],
    }


PATHS = [
    "/v1/messages/{message}",
    "/v1/messages/nobody",
    "/v1/messages?campaignTrackingId={campaign}",
    "/v1/messages/{message}/events",
    "/v1/status/{campaign}",
    "/v1/campaigns/{campaign}",
    "/v1/campaigns/{campaign}/messages",
    "/v1/campaigns?limit=1",
    "/v1/events?campaignTrackingId={campaign}",
    "/v1/events?limit=0",
    "/v1/inbound-messages/{reply}",
    "/v1/nothing",
    "/livez",
    "/readyz",
    "/docs",
    "/openapi.json",
]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_of_get(
    service: Service, known: dict[str, str], path: str, coding: str
) -> None:
    headers = service.bearer(Scope.READ) | {"Accept-Encoding": coding, "X-Request-Id": "same"}
    got, head = (
        service.client.request(method, path.format_map(known), headers=headers)
        for method in ("GET", "HEAD")
    )
    assert (head.status_code, head.content) == (got.status_code, b"")
    for answer in (got, head):
        answer.headers.pop("date", None)
    assert head.headers == got.headers


def test_head_needs_a_key_as_well(service: Service) -> None:
    assert service.client.head("/v1/messages/x").status_code == 401


def test_head_of_an_unchanged_resource_is_304(service: Service, known: dict[str, str]) -> None:
    path = f"/v1/messages/{known['message']}"
    tag = service.get(path).headers["etag"]
    headers = service.bearer(Scope.READ) | {"If-None-Match": tag}
    assert service.client.head(path, headers=headers).status_code == 304


def test_head_of_an_export_ends_with_its_headers(service: Service) -> None:
    for _ in range(5):  # more than may run at once
        answer = service.client.head("/v1/exports/messages", headers=service.bearer(Scope.ADMIN))
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.content == b""


def test_the_connection_is_good_for_the_next_request(service: Service) -> None:
    key = service.bearer(Scope.READ)["Authorization"].encode()
    lines = b"Host: x\r\nAuthorization: %b\r\n" % key
    answer = service.raw(
        b"HEAD /v1/campaigns?limit=1 HTTP/1.1\r\n%b\r\n"
        b"GET /v1/messages/%b HTTP/1.1\r\n%bConnection: close\r\n\r\n"
        % (lines, new_id().encode(), lines)
    )
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 404" in answer


def test_a_call_without_get_has_no_head(service: Service) -> None:
    path = "/v1/messages/lookup"
    head = service.client.head(path, headers=service.bearer(Scope.READ))
    assert head.status_code == service.get(path).status_code
    refused = service.client.put(f"/v1/messages/{new_id()}", headers=service.bearer(Scope.READ))
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
