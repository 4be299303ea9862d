"""A simulated Routee and a tiny receiver, both on real loopback sockets."""

import asyncio
import json
import math
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

import httpx
import uvicorn
from httpx import ASGITransport
from starlette.types import ASGIApp, Receive, Scope, Send

from app.sandbox.behaviour import Behaviour
from app.sandbox.ledger import EventKey, Fate, InboundKey, SimulatedCampaign
from app.sandbox.routee import SimulatedRoutee

CALLBACK_PATHS = ("/status", "/inbound")

APPLICATION_ID = "application"
APPLICATION_SECRET = "secret of the application"


def expire_token(routee: SimulatedRoutee) -> None:
    """Expire the living token; the next one is a new one."""
    routee.tokens._expires_at = time.monotonic()


def tracked_statuses(campaign: SimulatedCampaign) -> dict[str, str]:
    """The status by message id that tracking answers, lost callbacks included."""
    return {message.tracking_id: message.final.status for message in campaign.messages.values()}


def acknowledged_events(campaign: SimulatedCampaign) -> frozenset[EventKey]:
    """Every status that was answered with 200, once."""
    return campaign.events_of({Fate.ACKNOWLEDGED})


def acknowledged_replies(campaign: SimulatedCampaign) -> frozenset[InboundKey]:
    """Every reply that was answered with 200, once."""
    return frozenset(
        InboundKey(message.tracking_id, reply.sent_at, reply.message)
        for message in campaign.messages.values()
        for reply in message.replies
        if reply.fate is Fate.ACKNOWLEDGED
    )


class Changes(TypedDict, total=False):
    """The settings of `Behaviour` that a test changes."""

    callbacks_per_second: float
    duplicate_share: float
    shuffled: bool
    delay_seconds: float
    lost_share: float
    tracking_per_second: float
    before_answer: bool
    held: bool
    connections: int
    time_scale: float
    seed: int


#: As fast as possible, and no wait between repeats.
FAST = Changes(callbacks_per_second=math.inf, time_scale=0.0)


@dataclass(frozen=True)
class Received:
    path: str
    content_type: str
    document: dict[str, Any]
    at: float

    @property
    def key(self) -> tuple[str, str, str]:
        """The identity of a callback, of statuses and of replies."""
        if self.path == "/inbound":
            return self.document["referenceTrackingId"], "INBOUND", self.document["sentDate"]
        status = self.document["status"]
        return self.document["trackingId"], status["name"], status["updatedDate"]


class Receiver:
    """Records the callbacks, and answers as configured."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status_of: Callable[[Received], int] = lambda _: 200
        self.seconds_of: Callable[[Received], float] = lambda _: 0.0

    @property
    def statuses(self) -> list[Received]:
        return [received for received in self.received if received.path == "/status"]

    @property
    def inbound(self) -> list[Received]:
        return [received for received in self.received if received.path == "/inbound"]

    def times(self, received: Received) -> int:
        """How often the same callback has come so far."""
        return Counter(other.key for other in self.received)[received.key]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = Received(
            path=scope["path"],
            content_type=dict(scope["headers"])[b"content-type"].decode(),
            document=json.loads(await _body(receive)),
            at=asyncio.get_running_loop().time(),
        )
        self.received.append(received)
        await asyncio.sleep(self.seconds_of(received))
        headers = [(b"content-length", b"0"), (b"location", b"/status")]
        status = self.status_of(received)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Stage:
    routee: SimulatedRoutee
    receiver: Receiver
    origin: str
    api: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, recipients: int = 1, **changes: object) -> dict[str, object]:
        document = {
            "senderInfoTrackingId": "a-sender",
            "to": [f"+30691{number:07d}" for number in range(recipients)],
            "campaignName": "Spring sale",
            "body": {
                "text": "Καλημέρα [~name]",
                "action": {"caption": "Go", "targetUrl": "https://www.example.com/"},
                "fallbackValues": {"name": "friend"},
            },
            "ttl": 300,
            "callbackUrl": f"{self.origin}/status",
            "inboundUrl": f"{self.origin}/inbound",
            "label": "a label",
        }
        return document | changes

    async def token(self) -> httpx.Response:
        return await self.api.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(APPLICATION_ID, APPLICATION_SECRET),
        )

    async def launch(self, recipients: int = 1, **changes: object) -> httpx.Response:
        return await self.post(self.request(recipients, **changes))

    async def post(self, document: Mapping[str, object]) -> httpx.Response:
        return await self.api.post("/viber/campaign", json=document, headers=self.headers)

    async def launched(self, recipients: int = 1, **changes: object) -> SimulatedCampaign:
        answer = await self.launch(recipients, **changes)
        assert answer.status_code == 200, answer.text
        return self.routee.campaigns[answer.json()["trackingId"]]

    async def fetch_token(self) -> None:
        """Use the token that is handed out now."""
        token = (await self.token()).json()["access_token"]
        self.headers["Authorization"] = f"Bearer {token}"

    async def get(self, path: str) -> httpx.Response:
        return await self.api.get(path, headers=self.headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self.api.delete(path, headers=self.headers)

    async def drained(self, *, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            await self.routee.drained()


@asynccontextmanager
async def staged(**changes: Unpack[Changes]) -> AsyncIterator[Stage]:
    """A stage with this behaviour; by default without a rate and with a fast clock."""
    async with staged_routee(
        SimulatedRoutee(
            behaviour=Behaviour(**(FAST | changes)),
            application_id=APPLICATION_ID,
            application_secret=APPLICATION_SECRET,
        )
    ) as stage:
        yield stage


@asynccontextmanager
async def staged_routee(routee: SimulatedRoutee) -> AsyncIterator[Stage]:
    receiver = Receiver()

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        """One server for both, because each takes a while to stop."""
        is_callback = scope["type"] == "http" and scope["path"] in CALLBACK_PATHS
        await (receiver if is_callback else routee.app)(scope, receive, send)

    async with (
        served(both) as origin,
        # Without certificates: to read them takes longer than to start the server.
        httpx.AsyncClient(
            base_url=origin, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False
        ) as api,
    ):
        stage = Stage(routee, receiver, origin, api)
        await stage.fetch_token()
        yield stage
        # Before the server stops, so that it does not wait for connections of the poster.
        await routee.aclose()


@asynccontextmanager
async def staged_in_process() -> AsyncIterator[Stage]:
    """A stage without sockets, for immediate answers; no server receives the callbacks."""
    routee = SimulatedRoutee(
        behaviour=Behaviour(held=True),
        application_id=APPLICATION_ID,
        application_secret=APPLICATION_SECRET,
    )
    origin = "http://routee.test"
    async with httpx.AsyncClient(transport=ASGITransport(routee.app), base_url=origin) as api:
        stage = Stage(routee, Receiver(), origin, api)
        await stage.fetch_token()
        yield stage
        await routee.aclose()


class PromptServer(uvicorn.Server):
    """Stops at once, not at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Without uvicorn's fixed waits of a tenth of a second."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        async with asyncio.timeout(5):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        await self.lifespan.shutdown()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Serve *app* on a free loopback port; gives its origin."""
    # With the protocol left out asyncio does not switch Nagle's algorithm off: 40 ms per answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, lifespan="on", log_level="warning", timeout_graceful_shutdown=1
        )
        server = PromptServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 (uvicorn has a flag for it, and no event)
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await serving


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)
