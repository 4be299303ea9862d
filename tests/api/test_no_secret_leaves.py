"""A service as an operator runs it: whatever is asked of it, it says and writes no secret."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from app.domain.api_key import Scope
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, url_of
from tests.api.conftest import (
    OLD_SECRET,
    OLD_SIGNING_KEY,
    ROUTEE_ID,
    ROUTEE_SECRET,
    SECRET,
    SIGNING_KEY,
    Loop,
    Service,
    new_id,
    payload,
    progress,
    reply,
    serving,
)

NUMBER = "+306912345678"

_MAIN = "from app.cli import main; main()"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(params=[("json", "true"), ("console", "false")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> tuple[str, str]:
    """RECEIVER_LOG_FORMAT and RECEIVER_FAST_PROTOCOL."""
    log_format, fast_protocol = request.param
    return log_format, fast_protocol


@pytest.fixture
def operated(
    loop: Loop, url: str, routee: SimulatedRoutee, log: Path, variant: tuple[str, str]
) -> Iterator[Service]:
    """The service as a process of its own that writes to *log*."""
    with closing(listening_socket()) as free:
        port = free.getsockname()[1]
        address = url_of(free)
    with serving(loop, routee.app) as routee_url, log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (the program under test)
            [sys.executable, "-c", _MAIN, "serve", "--port", str(port)],
            env={
                **os.environ,
                "RECEIVER_DATABASE_URL": url,
                "RECEIVER_PUBLIC_URL": address,
                "RECEIVER_CALLBACK_SECRETS": f"{SECRET},{OLD_SECRET}",
                "RECEIVER_SIGNING_KEYS": f"{SIGNING_KEY},{OLD_SIGNING_KEY}",
                "RECEIVER_ROUTEE_APPLICATION_ID": ROUTEE_ID,
                "RECEIVER_ROUTEE_APPLICATION_SECRET": ROUTEE_SECRET,
                "RECEIVER_ROUTEE_API_URL": routee_url,
                "RECEIVER_ROUTEE_AUTH_URL": routee_url,
                "RECEIVER_LOG_FORMAT": variant[0],
                "RECEIVER_FAST_PROTOCOL": variant[1],
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        service = Service(address, url, loop)
        try:
            _wait_for(service)
            yield service
        finally:
            service.client.close()
            process.terminate()
            process.wait(timeout=20)


def _wait_for(service: Service) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if service.client.get("/livez").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError


def _provoked(service: Service, routee: SimulatedRoutee) -> Iterator[httpx.Response | str]:
    """Every kind of answer there is."""
    launch = service.launch(to=[NUMBER], label=new_id())
    campaign = launch.json()
    yield launch
    yield service.launch(to=[NUMBER, "nonsense"], campaignName="?")
    yield service.launch(to=[NUMBER], senderInfoTrackingId="unknown-sender")
    token = service.tokens.for_campaign(UUID(campaign["id"]))
    inbound_url = routee.campaigns[campaign["trackingId"]].request.inbound_url
    document = progress(
        to=NUMBER, inboundUrl=inbound_url, campaignTrackingId=campaign["trackingId"]
    )
    reference = document["trackingId"]
    foreign = progress(campaignTrackingId=new_id("c"))
    yield service.post(foreign)
    for opener in (SECRET, OLD_SECRET, token):
        yield service.post(document, token=opener)
        yield service.post(
            reply(referenceTrackingId=reference, campaignTrackingId=None), token=opener
        )
        yield service.post(f"{{ {inbound_url} {NUMBER} \0".encode(), token=opener)
        yield service.post(b"x" * 2_000_000, token=opener)
        yield service.client.get(f"/callbacks/{opener}/status")
        yield service.client.put(f"/callbacks/{opener}/status")
        yield service.client.get(f"/callbacks/{opener}/other")
        yield service.client.get(f"/callbacks/{opener}x/status")
        yield service.raw(b"POST /callbacks/%b HTTP/9\r\n\r\n" % opener.encode()).decode()
        yield service.raw(b"POST /callbacks/%b/status nonsense\r\n\r\n" % opener.encode()).decode()
    for path in (
        f"messages/{reference}",
        f"messages/{reference}/events?raw=true",
        f"campaigns/{campaign['id']}",
        f"campaigns/{campaign['id']}/messages",
        "campaigns",
        f"campaigns?limit=0&label={NUMBER}",
        f"status/{campaign['id']}",
        f"inbound-messages?referenceTrackingId={reference}",
        "messages/unknown",
    ):
        yield service.get(f"/v1/{path}")
    yield service.get("/v1/campaigns", Scope.CAMPAIGNS)
    yield service.client.get("/v1/campaigns", headers={"Authorization": f"Bearer {SECRET}"})
    yield service.client.delete(
        f"/v1/campaigns/{campaign['id']}", headers=service.bearer(Scope.CAMPAIGNS)
    )
    for path in ("/metrics", "/openapi.json", "/docs", "/livez", "/readyz"):
        yield service.client.get(path)


def test_no_secret_leaves(
    operated: Service, routee: SimulatedRoutee, log: Path, variant: tuple[str, str]
) -> None:
    answers = [
        answer if isinstance(answer, str) else f"{answer.headers} {answer.text}"
        for answer in _provoked(operated, routee)
    ]
    # The database goes away, and the logs have something to complain about.
    operated.sql("ALTER TABLE messages RENAME TO gone")
    for _ in range(2):
        answer = operated.post(progress(to=NUMBER, inboundUrl=f"https://x/callbacks/{SECRET}/x"))
        assert answer.status_code == 503
        answers.append(answer.text)
    answers.append(operated.get("/v1/messages/x").text)
    written = log.read_text()
    urls = [campaign.request.inbound_url or "" for campaign in routee.campaigns.values()]
    signatures = [found[1] for url in urls if (found := re.search(r"\.([0-9a-f]{64})/", url))]
    assert signatures
    secrets = [
        SECRET,
        OLD_SECRET,
        SIGNING_KEY,
        OLD_SIGNING_KEY,
        ROUTEE_SECRET,
        *operated.keys.values(),
        *signatures,
    ]
    for secret in secrets:
        assert secret not in written
        for answer_text in answers:
            assert secret not in answer_text
    if variant[0] == "json":
        assert json.loads(written.splitlines()[-1])["event"]
    digits = NUMBER.removeprefix("+")
    assert digits not in written
    assert json.loads(payload("progress"))["to"].removeprefix("+") not in written
