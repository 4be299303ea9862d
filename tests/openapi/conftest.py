"""The running service of `tests/api`, and something that is stored in it."""

import json
from dataclasses import dataclass

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import (
    Service,
    fast_service,
    loop,
    payload,
    progress,
    reply,
    routee,
    routee_urls,
    service,
    shared_url,
    status,
)

#: Nobody else's.
ERASED = "+306999999999"

__all__ = ["fast_service", "loop", "routee", "routee_urls", "service", "shared_url"]


@dataclass(frozen=True)
class Stored:
    """Ids of what the service knows."""

    message_id: str
    campaign_id: str
    reply_id: str
    erasure_id: str
    body_id: str
    dropped_id: str


@pytest.fixture(scope="session")
def stored(service: Service) -> Stored:
    """A launched campaign, a report of it, a delivered message, a reply to that, two bad bodies."""
    campaign = service.launched(label="spring", ttl=120)
    document = progress(
        campaignTrackingId=campaign["trackingId"],
        to=campaign["to"][0],
        status=status("DELIVERED", "2026-07-05T10:28:46.996Z"),
    )
    service.stored(document)
    service.stored(document | {"status": status("QUEUED", "2026-07-05T10:28:44.566Z")})
    service.stored(
        reply(
            campaignTrackingId=campaign["trackingId"],
            referenceTrackingId=document["trackingId"],
        )
    )
    report = json.loads(payload("campaign_progress"))
    service.stored(report | {"trackingId": campaign["trackingId"]})
    (answer,) = service.replies(referenceTrackingId=document["trackingId"])
    erasure = service.client.delete(
        f"/v1/recipients/{ERASED.replace('+', '%2B')}", headers=service.bearer(Scope.ADMIN)
    )
    bodies = [b"{", b"["]
    for body in bodies:
        service.quarantined(body)
    service.client.post(
        f"/v1/campaigns/{campaign['id']}/reconcile", headers=service.bearer(Scope.ADMIN)
    ).raise_for_status()
    return Stored(
        document["trackingId"],
        campaign["trackingId"],
        answer["id"],
        erasure.json()["id"],
        *(str(row["id"]) for row in map(service.in_quarantine, bodies) if row is not None),
    )
