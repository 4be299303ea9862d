"""Who may ask what."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.db.api_keys import revoke_api_key
from app.db.database import Database
from app.domain.api_key import Scope
from app.services.keyring import CACHED_SECONDS
from tests.api.conftest import SECRET, Service, campaign_request, new_id, progress

READS = [
    "/v1/messages/x",
    "/v1/messages?to=x",
    "/v1/messages/x/events",
    "/v1/campaigns/x",
    "/v1/campaigns/x/messages",
    "/v1/status/x",
    "/v1/inbound-messages",
    "/v1/inbound-messages/1",
]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Basic cnI6cnI=",
        "Bearer unknown",
        "Bearer rr_" + "x" * 43,
        f"Bearer {SECRET}",
        "Bearer é",
        "Bearer " + "x" * 8000,
    ],
)
def test_without_a_valid_key_every_call_is_refused(
    service: Service, path: str, header: str | None
) -> None:
    headers = [] if header is None else [(b"authorization", header.encode())]
    answer = service.client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:routee-receiver:problem:unauthorized"
    assert set(answer.json()) <= {"type", "title", "status", "detail", "requestId"}


def test_the_key_is_verified_before_the_request(service: Service) -> None:
    for path in ("/v1/inbound-messages?limit=0", "/v1/campaigns/x/messages?cursor=x"):
        assert service.client.get(path).status_code == 401
    assert service.client.post("/v1/campaigns", json=campaign_request()).status_code == 401
    assert service.client.post("/v1/campaigns", content=b"{").status_code == 401


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("scope", Scope)
def test_reading_needs_the_scope_for_it(service: Service, path: str, scope: Scope) -> None:
    allowed = scope in {Scope.READ, Scope.ADMIN}
    answer = service.get(path, scope)
    assert (answer.status_code == 403) is not allowed
    if not allowed:
        assert answer.json()["type"] == "urn:routee-receiver:problem:forbidden"
        assert "`read`" in answer.json()["detail"]


def test_launching_needs_the_scope_for_it(service: Service) -> None:
    answer = service.client.post(
        "/v1/campaigns", json=campaign_request(), headers=service.bearer(Scope.READ)
    )
    assert answer.status_code == 403
    assert "`campaigns`" in answer.json()["detail"]


def test_a_key_with_two_scopes_may_do_both(service: Service) -> None:
    _, key = service.add_key(Scope.READ, Scope.CAMPAIGNS)
    headers = {"Authorization": f"bearer {key}"}
    assert (
        service.client.post("/v1/campaigns", json=campaign_request(), headers=headers).status_code
        == 201
    )
    assert service.client.get("/v1/inbound-messages", headers=headers).status_code == 200


def test_an_expired_key_stops_working_at_its_time(service: Service) -> None:
    _, over = service.add_key(Scope.READ, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    end = datetime.now(UTC) + timedelta(seconds=3)
    _, soon = service.add_key(Scope.READ, expires_at=end)
    assert _status_with(service, over) == 401
    assert _status_with(service, soon) == 200
    time.sleep(max(0, (end - datetime.now(UTC)).total_seconds()) + 0.1)
    assert _status_with(service, soon) == 401


def test_a_revoked_key_stops_working_within_seconds(service: Service) -> None:
    key_id, key = service.add_key(Scope.READ)
    assert _status_with(service, key) == 200
    assert service.loop.run(_revoked(service, key_id))
    deadline = time.monotonic() + CACHED_SECONDS + 3
    while _status_with(service, key) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert _status_with(service, key) == 401


async def _revoked(service: Service, key_id: UUID) -> bool:
    database = Database(service.database_url, name="tests", pool_items=1)
    try:
        return await revoke_api_key(database, key_id)
    finally:
        await database.close()


def _status_with(service: Service, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return service.client.get("/v1/inbound-messages", headers=headers).status_code


def test_operations_need_no_key(service: Service) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert service.client.get(path).status_code == 200


def test_a_callback_secret_is_no_api_key_and_an_api_key_no_callback_token(
    service: Service,
) -> None:
    _, key = service.add_key(Scope.ADMIN)
    assert service.post(progress(trackingId=new_id()), token=key).status_code == 404


def test_whole_numbers_are_read_without_the_scope_that_the_dashboard_asks_for(
    service: Service,
) -> None:
    """0.1.0 promised them to keys of scope `read`."""
    document = progress()
    service.stored(document)
    assert service.message(document["trackingId"])["to"] == document["to"]
