import time
from collections.abc import Iterator

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Loop, Service, progress, running
from tests.conftest import fresh_database


@pytest.fixture
def without_routee(loop: Loop, server_url: str) -> Iterator[Service]:
    with (
        fresh_database(server_url) as url,
        running(loop, url, routee_application_id="") as service,
    ):
        yield service


def test_a_campaign_is_compared_as_asked_and_shows_the_outcome(service: Service) -> None:
    campaign = service.launched()
    path = f"/v1/campaigns/{campaign['id']}"
    assert service.get(f"{path}/reconciliation").status_code == 404
    asked = service.client.post(f"{path}/reconcile", headers=service.bearer(Scope.ADMIN))
    assert asked.status_code == 202
    assert asked.headers["Location"] == f"{path}/reconciliation"
    assert asked.json()["state"] in {"waiting", "running"}
    deadline = time.monotonic() + 60
    while (found := service.read(asked.headers["Location"]))["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (found["outcome"], found["messages"], found["stored"]) == ("compared", 2, 2)
    assert found["askedAt"] <= found["beganAt"] <= found["endedAt"] < found["nextAt"]
    assert service.read(path)["awaiting"] == 0
    history = [
        item
        for message in service.read(f"{path}/messages")["items"]
        for item in service.history(message["trackingId"])
    ]
    assert {item["source"] for item in history} == {"tracking"}


def test_only_an_admin_may_ask_and_only_for_what_routee_has(service: Service) -> None:
    path = f"/v1/campaigns/{service.launched()['id']}"
    for scope, status in ((Scope.READ, 403), (Scope.CAMPAIGNS, 403)):
        answer = service.client.post(f"{path}/reconcile", headers=service.bearer(scope))
        assert answer.status_code == status
    headers = service.bearer(Scope.ADMIN)
    assert service.client.post("/v1/campaigns/no/reconcile", headers=headers).status_code == 404
    assert service.get("/v1/campaigns/no/reconciliation").status_code == 404
    (row,) = service.sql(
        "INSERT INTO campaigns (submission) VALUES ('rejected') RETURNING id::text"
    )
    answer = service.client.post(f"/v1/campaigns/{row['id']}/reconcile", headers=headers)
    assert (answer.status_code, "rejected" in answer.json()["detail"]) == (409, True)


def test_without_credentials_it_says_which_settings_are_missing(without_routee: Service) -> None:
    document = progress()
    without_routee.stored(document)
    path = f"/v1/campaigns/{document['campaignTrackingId']}"
    answer = without_routee.client.post(
        f"{path}/reconcile", headers=without_routee.bearer(Scope.ADMIN)
    )
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("reconciling-not-configured")
    assert "RECEIVER_ROUTEE_APPLICATION_ID" in answer.json()["detail"]


def test_a_message_without_a_final_status_is_overdue_once_its_campaign_is_finished(
    without_routee: Service,
) -> None:
    document = progress(status={"name": "QUEUED"})
    without_routee.stored(document)
    message, campaign = document["trackingId"], document["campaignTrackingId"]
    assert without_routee.message(message)["overdue"] is False
    without_routee.sql("UPDATE campaigns SET finished_at = now() WHERE tracking_id = $1", campaign)
    assert without_routee.message(message)["overdue"] is True
    (listed,) = without_routee.read(f"/v1/campaigns/{campaign}/messages")["items"]
    assert (listed["overdue"], listed["status"]) == (True, "QUEUED")
    without_routee.stored(document | {"status": {"name": "DELIVERED"}})
    assert without_routee.message(message)["overdue"] is False
