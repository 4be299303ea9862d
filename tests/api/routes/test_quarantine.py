import json
from base64 import b64decode
from typing import Any

import httpx
import pytest

from app.domain.api_key import Scope
from tests.api.conftest import SECRET, Service, new_id, progress

QUARANTINE = "/v1/quarantine"


def _quarantined(service: Service, octets: bytes, **options: Any) -> str:  # noqa: ANN401
    """The id of *octets*, posted as a callback."""
    service.quarantined(octets, **options)
    row = service.in_quarantine(octets)
    assert row is not None
    return str(row["id"])


def _unreadable(text: str = "") -> bytes:
    return f'{{"trackingId": "{new_id()}", {text}'.encode()


def _read(service: Service, path: str = "", **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
    return service.read(f"{QUARANTINE}{path}", Scope.ADMIN, **parameters)


def _call(service: Service, method: str, path: str) -> httpx.Response:
    url = f"{QUARANTINE}{path}"
    return service.client.request(method, url, headers=service.bearer(Scope.ADMIN))


def _all(service: Service, below: str = "", *, method: str = "GET", **filters: Any) -> list[Any]:  # noqa: ANN401
    """All pages of a list, two items at a time."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        given = {"limit": 2, **filters, **cursor}
        answer = service.client.request(
            method, f"{QUARANTINE}{below}", params=given, headers=service.bearer(Scope.ADMIN)
        )
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["nextCursor"] is None:
            return items
        cursor = {"cursor": answer.json()["nextCursor"]}


def test_a_body_is_shown_with_its_reason_and_our_secrets_masked(service: Service) -> None:
    octets = _unreadable(f'"inboundUrl": "https://receiver.example/callbacks/{SECRET}/inbound", Ω')
    body_id = _quarantined(service, octets)
    _quarantined(service, octets)
    shown = _read(service, f"/{body_id}")
    assert shown["reason"] == "not-json"
    assert (shown["times"], shown["size"]) == (2, len(octets))
    assert shown["path"] == "/callbacks/***/status"
    assert shown["preview"] == octets.decode().replace(SECRET, "***")
    assert (shown["replayedAt"], shown["replayOutcome"], shown["replayReason"]) == (
        None,
        None,
        None,
    )
    assert shown["receivedAt"] < shown["lastReceivedAt"]
    assert "raw" not in shown
    assert shown in _all(service, reason="not-json")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
def test_no_preview_has_a_secret_in_another_encoding_or_across_its_end(
    service: Service, encoding: str
) -> None:
    octets = _unreadable("x" * 460 + SECRET).decode().encode(encoding)
    body_id = _quarantined(service, octets)
    preview = _read(service, f"/{body_id}")["preview"]
    assert preview.endswith("***")
    assert SECRET[:12] not in preview


def test_the_exact_bytes_are_given_on_request(service: Service) -> None:
    octets = _unreadable(SECRET) + b"\xff"
    shown = _read(service, f"/{_quarantined(service, octets)}", raw="true")
    assert b64decode(shown["rawBase64"]) == octets
    assert shown["raw"] == octets.decode(errors="replace")


def test_the_list_is_filtered_and_goes_on_from_page_to_page(service: Service) -> None:
    begin = service.sql("SELECT now()")[0][0]
    ids = [_quarantined(service, _unreadable()) for _ in range(3)]
    empty = _quarantined(service, f'{{"a": "{new_id()}"}}'.encode(), kind="inbound")
    since = {"receivedSince": begin.isoformat()}

    def _ids(**filters: Any) -> list[str]:  # noqa: ANN401
        return [item["id"] for item in _all(service, **since, **filters)]

    assert _ids() == [*ids, empty]
    assert _ids(reason="not-json") == ids
    assert _ids(reason=["not-json", "no-message-id"]) == [*ids, empty]
    assert _ids(path="inbound") == [empty]
    assert _ids(receivedBefore=begin.isoformat()) == []
    cursor = _read(service, limit=1)["nextCursor"]
    other = service.get(QUARANTINE, Scope.ADMIN, limit=1, cursor=cursor, reason="not-json")
    assert other.status_code == 400


def test_a_replay_stores_what_can_be_stored_by_now(service: Service) -> None:
    tracking_id = new_id("c")
    _, token = service.add_campaign(new_id("another"))
    document = progress(campaignTrackingId=tracking_id)
    service.stored(progress(campaignTrackingId=tracking_id))
    body = json.dumps(document).encode()
    body_id = _quarantined(service, body, token=token)
    still = _call(service, "POST", f"/{body_id}/replay").json()
    assert (still["replayOutcome"], still["replayReason"]) == ("not-stored", "campaign-mismatch")
    assert still == _read(service, f"/{body_id}")

    service.sql("UPDATE quarantine SET campaign_id = NULL WHERE id = $1", int(body_id))
    for _ in range(2):
        done = _call(service, "POST", f"/{body_id}/replay")
        assert done.status_code == 200
        assert (done.json()["replayOutcome"], done.json()["replayReason"]) == ("stored", None)
    (event,) = service.history(document["trackingId"])
    assert event["receivedAt"] == done.json()["receivedAt"]
    assert service.read(f"/v1/campaigns/{tracking_id}")["counts"]["DELIVERED"] == 2


def test_all_that_match_are_replayed_page_by_page(service: Service) -> None:
    begin = service.sql("SELECT now()")[0][0].isoformat()
    ids = [_quarantined(service, _unreadable()) for _ in range(3)]
    _quarantined(service, f'{{"a": "{new_id()}"}}'.encode())
    filters = {"receivedSince": begin, "reason": "not-json"}
    replayed = _all(service, "/replay", method="POST", **filters)
    assert [(one["id"], one["replayReason"]) for one in replayed] == [
        (one, "not-json") for one in ids
    ]


def test_a_body_is_dropped_for_good(service: Service) -> None:
    body_id = _quarantined(service, _unreadable())
    dropped = _call(service, "DELETE", f"/{body_id}")
    assert (dropped.status_code, dropped.content) == (204, b"")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        assert _call(service, method, f"/{body_id}{path}").status_code == 404


@pytest.mark.parametrize("body_id", ["x", "-1", "1.5", "9" * 30, "\u0661"])
def test_an_id_that_nothing_can_have_is_not_found(service: Service, body_id: str) -> None:
    assert _call(service, "GET", f"/{body_id}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/replay"), ("GET", "/x"), ("POST", "/x/replay"), ("DELETE", "/x")],
)
def test_only_admins_see_the_quarantine(service: Service, method: str, path: str) -> None:
    url = f"{QUARANTINE}{path}"
    for scope, status in ((Scope.READ, 403), (Scope.CAMPAIGNS, 403), (None, 401)):
        headers = {} if scope is None else service.bearer(scope)
        assert service.client.request(method, url, headers=headers).status_code == status


@pytest.mark.parametrize(
    "query", ["reason=nonsense", "reasons=not-json", "path=x", "limit=0", "receivedSince=1"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/replay")])
def test_a_filter_that_means_nothing_is_refused(
    service: Service, method: str, path: str, query: str
) -> None:
    url = f"{QUARANTINE}{path}?{query}"
    answer = service.client.request(method, url, headers=service.bearer(Scope.ADMIN))
    assert answer.status_code == 422
