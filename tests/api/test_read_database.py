"""Which database answers what, and that a slow read is told as such."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Loop, Service, new_id, progress, reply, running, status
from tests.conftest import fresh_database
from tests.database import connect

CAMPAIGN = "c-both"
MESSAGE = "m-both"
_AN_HOUR_AGO = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
def behind_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture(scope="module")
def behind(loop: Loop, behind_url: str) -> Iterator[Service]:
    """Stands in for a replica that is behind: it knows the message as QUEUED."""
    with running(loop, behind_url) as service:
        service.stored(
            progress(
                trackingId=MESSAGE, campaignTrackingId=CAMPAIGN, label="x", status=status("QUEUED")
            )
        )
        service.stored(reply(message="of the replica", campaignTrackingId=CAMPAIGN))
        yield service


@pytest.fixture(scope="module")
def service(loop: Loop, server_url: str, behind: Service) -> Iterator[Service]:
    """A service whose primary knows the message as SEEN, and another one."""
    with (
        fresh_database(server_url) as url,
        running(loop, url, database_read_url=behind.database_url) as service,
    ):
        for tracking_id in (MESSAGE, "m-primary"):
            service.stored(
                progress(
                    trackingId=tracking_id,
                    campaignTrackingId=CAMPAIGN,
                    label="x",
                    status=status("SEEN"),
                )
            )
        service.stored(reply(message="of the primary", campaignTrackingId=CAMPAIGN))
        yield service


def test_messages_and_lists_are_read_from_the_replica(service: Service) -> None:
    assert service.message(MESSAGE)["status"] == "QUEUED"
    assert service.read(f"/v1/status/{MESSAGE}")["status"] == "QUEUED"
    assert service.get("/v1/messages/m-primary").status_code == 404
    assert [step["status"] for step in service.history(MESSAGE)] == ["QUEUED"]
    found = service.client.post(
        "/v1/messages/lookup",
        json={"trackingIds": [MESSAGE, "m-primary"]},
        headers=service.bearer(Scope.READ),
    ).json()
    assert [item["status"] for item in found["items"]] == ["QUEUED"]
    assert found["notFound"] == ["m-primary"]
    for path in (
        "/v1/messages?label=x",
        f"/v1/messages?updatedAfter={_AN_HOUR_AGO}",
        f"/v1/campaigns/{CAMPAIGN}/messages",
    ):
        assert [item["status"] for item in service.read(path)["items"]] == ["QUEUED"], path
    assert service.read(f"/v1/campaigns/{CAMPAIGN}/messages")["total"] == 1
    (campaign,) = service.read("/v1/campaigns")["items"]
    assert campaign["total"] == 1


def test_replies_and_the_feed_are_read_from_the_replica(service: Service) -> None:
    for filters in ({}, {"campaignTrackingId": CAMPAIGN}):
        (item,) = service.replies(**filters)
        assert item["message"] == "of the replica"
    assert service.read(f"/v1/inbound-messages/{item['id']}") == item
    items = service.read("/v1/events", wait=5)["items"]
    assert {entry["trackingId"] for entry in items if entry["type"] == "message.status"} == {
        MESSAGE
    }


def test_a_campaign_by_its_id_is_read_from_the_primary(service: Service) -> None:
    for path in (f"/v1/campaigns/{CAMPAIGN}", f"/v1/status/{CAMPAIGN}"):
        campaign = service.read(path)
        assert (campaign["counts"]["SEEN"], campaign["total"]) == (2, 2)
    campaign_id, _ = service.add_campaign(new_id("c"))
    assert service.read(f"/v1/campaigns/{campaign_id}")["id"] == str(campaign_id)


def test_keys_are_those_of_the_primary(service: Service, behind: Service) -> None:
    _, of_the_replica = behind.add_key(Scope.ADMIN)
    headers = {"Authorization": f"Bearer {of_the_replica}"}
    assert service.client.get("/v1/messages?label=x", headers=headers).status_code == 401


def test_callbacks_and_launches_do_not_need_the_replica(loop: Loop, url: str) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    with running(loop, url, database_read_url=nowhere) as service:
        document = progress()
        service.stored(document)
        assert service.read(f"/v1/campaigns/{document['campaignTrackingId']}")["total"] == 1
        answer = service.get(f"/v1/messages/{document['trackingId']}")
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:routee-receiver:problem:database-unavailable"
        assert service.client.get("/readyz").status_code == 200


def test_a_read_that_takes_too_long_is_503_and_harms_no_callback(loop: Loop, url: str) -> None:
    with running(loop, url) as service:
        document = progress()
        service.stored(document)
        service.bearer(Scope.READ)
        blocking = loop.run(_blocking(url))
        answer = service.get("/v1/inbound-messages")
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        assert int(answer.headers["retry-after"]) > 0
        service.stored(progress())
        assert service.message(document["trackingId"])["status"] == "DELIVERED"
        loop.run(blocking.close())
        assert service.get("/v1/inbound-messages").status_code == 200


async def _blocking(url: str) -> asyncpg.Connection:
    """A connection that lets nobody read the replies until it is closed."""
    connection = await connect(url)
    await connection.execute("BEGIN; LOCK TABLE inbound_messages IN ACCESS EXCLUSIVE MODE")
    return connection
