"""A service whose every page has something to show, in front of a simulated Routee."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from app.cli.listening import http_protocol
from app.main import build_app
from app.sandbox.behaviour import Behaviour
from app.sandbox.faults import CUT_BEFORE, Endpoint
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from tests.api.conftest import (
    ROUTEE_ID,
    ROUTEE_SECRET,
    SECRET,
    Loop,
    Service,
    campaign_request,
    progress,
    reply,
    serving,
    settings_for,
    status,
)

RECIPIENTS: Final = 120
#: So often Routee does not answer: the launch stays unconfirmed longer than any test takes.
_UNANSWERED: Final = 200
NUMBER: Final = "+306949999001"
#: All that a recipient may write.
NASTY: Final = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "\u202eright to left \u2066 without an end",
    "مرحبا بكم في المتجر",
    "x" * 4000,
    "👩‍👩‍👧‍👦" * 200,
)
_ROLLED_UP: Final = """
SELECT (SELECT sum(events) FROM bi_rollup_hourly) AS hours,
    (SELECT count(*) FROM events) AS events,
    (SELECT sum(messages) FROM bi_failure_reasons) AS reasons,
    (SELECT count(*) FROM messages WHERE status_rank = 3) AS failures
"""


@dataclass(frozen=True)
class Scene:
    """A running service, and the ids of what it has to show."""

    service: Service
    routee: SimulatedRoutee
    #: Our ids of campaigns.
    spring: str
    scheduled: str
    #: Scheduled as well, for the test that cancels it.
    to_cancel: str
    unconfirmed: str
    #: One message of each status, by its status.
    messages: dict[str, str]
    #: One that reached nobody, to `NUMBER`.
    undelivered: str
    #: Of the quarantine.
    quarantined: list[int]


@contextmanager
def running_scene(loop: Loop, database_url: str) -> Iterator[Scene]:
    """The service while the block runs; it believes a proxy on the same machine."""

    async def build() -> SimulatedRoutee:
        behaviour = Behaviour(shuffled=True, duplicate_share=0.1, time_scale=0.01, seed=2026)
        return SimulatedRoutee(
            behaviour=behaviour, application_id=ROUTEE_ID, application_secret=ROUTEE_SECRET
        )

    routee = loop.run(build())
    listening = listening_socket()
    with serving(loop, routee.app) as routee_url:
        settings = settings_for(
            database_url,
            public_url=url_of(listening),
            routee_api_url=routee_url,
            routee_auth_url=routee_url,
            trusted_proxies=("127.0.0.1/32",),
            erasure_keys=(SecretStr("erasure-key-of-the-scene-Kq7Wn2Zx"),),
        )
        running = served(build_app(settings), listening, http=http_protocol(settings))
        loop.run(running.__aenter__())
        service = Service(url_of(listening), database_url, loop)
        try:
            yield _filled(loop, service, routee)
        finally:
            service.client.close()
            loop.run(running.__aexit__(None, None, None))
            loop.run(routee.aclose())


def _filled(loop: Loop, service: Service, routee: SimulatedRoutee) -> Scene:
    spring = service.launched(**_spring())
    loop.run(routee.drained())
    later = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    scheduled = service.launched(scheduledDate=later, campaignName="autumn scheduled")
    to_cancel = service.launched(scheduledDate=later, campaignName="winter scheduled")
    routee.faults.script(Endpoint.CAMPAIGN, *[CUT_BEFORE] * _UNANSWERED)
    unconfirmed = service.launch(campaignName="lost in the network").json()
    undelivered = _undelivered(service)
    _write_nasty(service, undelivered)
    _wait_for_roll_ups(service)
    found = service.sql("SELECT DISTINCT ON (status) status, message_tracking_id FROM messages")
    return Scene(
        service,
        routee,
        spring["id"],
        scheduled["id"],
        to_cancel["id"],
        unconfirmed["id"],
        {row["status"]: row["message_tracking_id"] for row in found},
        undelivered,
        _quarantined(service),
    )


def _wait_for_roll_ups(service: Service) -> None:
    """The pages read nothing else, and duties write them a moment after the callbacks."""
    for _ in range(600):
        (row,) = service.sql(_ROLLED_UP)
        if row["hours"] == row["events"] and row["reasons"] == row["failures"]:
            return
        time.sleep(0.1)
    raise AssertionError(row)


def _spring() -> dict[str, Any]:
    return campaign_request(
        to=[f"+3069450{number:05}" for number in range(RECIPIENTS)],
        body={
            "text": "Our spring collection is here.",
            "action": {"caption": "Have a look", "targetUrl": "https://shop.example/spring"},
        },
        campaignName="spring 2026",
        label="spring",
    )


def _undelivered(service: Service) -> str:
    """A message that a person asks about: it says why it did not arrive."""
    document = progress(to=NUMBER, status=status("UNDELIVERED", "2026-07-05T10:28:44.000Z"))
    document["status"]["reason"] = {
        "detailedStatus": "Not Viber User",
        "description": "The recipient does not use Viber.",
    }
    service.stored(document)
    tracking_id: str = document["trackingId"]
    return tracking_id


def _write_nasty(service: Service, undelivered: str) -> None:
    for text in NASTY:
        service.stored(reply(message=text, referenceTrackingId=undelivered), kind="inbound")
    document = progress(label="<b>label</b> \u202e" + "y" * 300, status=status("PONDERING"))
    document["status"]["reason"]["description"] = NASTY[0]
    service.stored(document)


def _quarantined(service: Service) -> list[int]:
    bodies = (
        b'{"trackingId": "cut off',
        b"\xff\xfe\x00<script>alert(1)</script>\x1b",
        f'{{"inboundUrl": "https://x/callbacks/{SECRET}/inbound", {"long " * 3000}'.encode(),
        b"[1, 2, 3]",
    )
    for body in bodies:
        service.quarantined(body)
    return [row["id"] for row in service.sql("SELECT id FROM quarantine ORDER BY id")]
