"""The service on a real socket in front of a real database, in a thread of its own."""

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest
import uvloop
from pydantic import SecretStr
from starlette.types import ASGIApp

from app.cli.listening import http_protocol
from app.db.api_keys import add_api_key
from app.db.database import Database
from app.domain.api_key import Scope, digest, make_key
from app.domain.callback_token import CallbackTokens
from app.kit.uuid7 import uuid7
from app.main import build_app
from app.sandbox.behaviour import Behaviour
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from app.settings import Settings
from tests.conftest import fresh_database
from tests.database import connect

T = TypeVar("T")

PAYLOADS = Path(__file__).parents[1] / "payloads"

SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
OLD_SECRET = "former-secret-pT4zK8yWq6JfVn2HcXr9Lm5B"
SIGNING_KEY = "signing-key-bV7sD3kPz9QxWc4RnTy6Hj2M"
OLD_SIGNING_KEY = "former-key-hL9wF5nCx8KvBq3ZtPr7Yd4G"
ROUTEE_ID = "application-of-the-tests"
ROUTEE_SECRET = "routee-secret-Zk6mT2rVb9XwNc5QjHs8Lp3D"

#: Where nobody listens.
NOWHERE = "http://127.0.0.1:9"

_numbers = count(1)


def payload(name: str) -> bytes:
    """A documented payload, byte for byte."""
    return (PAYLOADS / f"{name}.json").read_bytes()


def new_id(prefix: str = "m") -> str:
    """An id that no other test has."""
    return f"{prefix}-{next(_numbers)}-{secrets.token_hex(4)}"


def progress(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """The documented progress callback, of a message and a campaign of its own."""
    document: dict[str, Any] = json.loads(payload("progress"))
    return document | {"trackingId": new_id(), "campaignTrackingId": new_id("c")} | changes


def status(name: str, at: str | None = None) -> dict[str, Any]:
    """The member `status` of a callback."""
    reason = {"detailedStatus": f"reason of {name}", "description": f"description of {name}"}
    return {"name": name, "reason": reason, "updatedDate": at}


def reply(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """The documented inbound message, with a text of its own."""
    document: dict[str, Any] = json.loads(payload("inbound"))
    return document | {"message": new_id("text")} | changes


def campaign_request(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """A request that neither we nor Routee refuse."""
    return {
        "senderInfoTrackingId": "sender-1",
        "to": ["+306912345678", "+306912345679"],
        "body": {"text": "Your parcel is on its way."},
    } | changes


class Loop:
    """An event loop in a thread of its own, so that tests can be written without one."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(timeout=60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@dataclass
class Service:
    """A running service, and what a caller needs to talk to it."""

    url: str
    database_url: str
    loop: Loop
    keys: dict[Scope, str] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=20))

    def __post_init__(self) -> None:
        self.client.base_url = httpx.URL(self.url)

    @property
    def tokens(self) -> CallbackTokens:
        return CallbackTokens(secrets=[SECRET], signing_keys=[SIGNING_KEY])

    def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """What the database itself says."""

        async def ask() -> list[asyncpg.Record]:
            connection = await connect(self.database_url)
            try:
                return list(await connection.fetch(query, *arguments))
            finally:
                await connection.close()

        return self.loop.run(ask())

    def add_key(self, *scopes: Scope, expires_at: datetime | None = None) -> tuple[UUID, str]:
        """A new key, by its id and itself."""
        key = make_key()

        async def add() -> UUID:
            database = Database(self.database_url, name="tests", pool_items=1)
            try:
                return await add_api_key(
                    database,
                    name="tests",
                    sha256=digest(key),
                    scopes=frozenset(scopes),
                    expires_at=expires_at,
                )
            finally:
                await database.close()

        return self.loop.run(add()), key

    def bearer(self, scope: Scope) -> dict[str, str]:
        """The header with a key of *scope*."""
        if scope not in self.keys:
            _, self.keys[scope] = self.add_key(scope)
        return {"Authorization": f"Bearer {self.keys[scope]}"}

    def post(
        self,
        body: object,
        *,
        token: str = SECRET,
        kind: str = "status",
        **options: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Post a callback: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(f"/callbacks/{token}/{kind}", content=content, **options)

    def stored(self, body: object, **options: Any) -> None:  # noqa: ANN401
        answer = self.post(body, **options)
        assert (answer.status_code, answer.json()) == (200, {"result": "stored"})

    def quarantined(self, body: object, **options: Any) -> None:  # noqa: ANN401
        answer = self.post(body, **options)
        assert (answer.status_code, answer.json()) == (200, {"result": "quarantined"})

    def get(self, path: str, scope: Scope = Scope.READ, **parameters: Any) -> httpx.Response:  # noqa: ANN401
        return self.client.get(path, params=parameters or None, headers=self.bearer(scope))

    def read(self, path: str, scope: Scope = Scope.READ, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """What a successful GET answers, numbers with all their digits."""
        answer = self.get(path, scope, **parameters)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = json.loads(answer.content, parse_float=Decimal)
        return document

    def message(self, tracking_id: str) -> dict[str, Any]:
        return self.read(f"/v1/messages/{quote(tracking_id, safe='')}")

    def history(self, tracking_id: str, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        path = f"/v1/messages/{quote(tracking_id, safe='')}/events"
        items: list[dict[str, Any]] = self.read(path, **parameters)["items"]
        return items

    def knows_events_of(self, campaign: str) -> None:
        """Return when the times of a campaign's events are known: a duty notes them a bit later."""
        for _ in range(300):
            if self.read(f"/v1/campaigns/{campaign}")["lastEventAt"] is not None:
                return
            time.sleep(0.1)
        raise AssertionError(campaign)

    def replies(self, **filters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        items: list[dict[str, Any]] = self.read("/v1/inbound-messages", **filters)["items"]
        return items

    def launch(self, **changes: Any) -> httpx.Response:  # noqa: ANN401
        return self.client.post(
            "/v1/campaigns",
            json=campaign_request(**changes),
            headers=self.bearer(Scope.CAMPAIGNS),
        )

    def launched(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = self.launch(**changes)
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def add_campaign(
        self, tracking_id: str | None = None, *, submission: str = "launched"
    ) -> tuple[UUID, str]:
        """A campaign of ours without asking Routee: its id and its token."""
        campaign_id = uuid7()
        self.sql(
            "INSERT INTO campaigns (id, tracking_id, submission, name) VALUES ($1, $2, $3, $4)",
            campaign_id,
            tracking_id,
            submission,
            f"campaign {campaign_id}",
        )
        return campaign_id, self.tokens.for_campaign(campaign_id)

    def in_quarantine(self, body: bytes) -> asyncpg.Record | None:
        rows = self.sql("SELECT * FROM quarantine WHERE body = $1", body)
        assert len(rows) <= 1
        return rows[0] if rows else None

    def raw(self, request: bytes, *, timeout: float = 10) -> bytes:
        """Everything that is answered to *request*, until the connection ends."""
        with self.connection(timeout=timeout) as connection:
            connection.sendall(request)
            return received(connection)

    def connection(self, *, timeout: float = 10) -> socket.socket:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return socket.create_connection((parts.hostname, parts.port), timeout=timeout)


def received(connection: socket.socket) -> bytes:
    """Everything until the other side ends the connection."""
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def settings_for(database_url: str, **changes: Any) -> Settings:  # noqa: ANN401
    values: dict[str, Any] = {
        "database_url": database_url,
        "public_url": "https://receiver.example",
        "callback_secrets": (SecretStr(SECRET), SecretStr(OLD_SECRET)),
        "signing_keys": (SecretStr(SIGNING_KEY), SecretStr(OLD_SIGNING_KEY)),
        "routee_api_url": NOWHERE,
        "routee_auth_url": NOWHERE,
        "routee_application_id": ROUTEE_ID,
        "routee_application_secret": SecretStr(ROUTEE_SECRET),
    }
    return Settings(**(values | changes))


@contextmanager
def serving(
    loop: Loop, app: ASGIApp, *, http: type[asyncio.Protocol] | str = "httptools"
) -> Iterator[str]:
    """Serve *app* on *loop* with uvicorn's protocol *http*; gives its address."""
    listening = listening_socket()
    serving = served(app, listening, http=http)
    loop.run(serving.__aenter__())
    try:
        yield url_of(listening)
    finally:
        loop.run(serving.__aexit__(None, None, None))


@contextmanager
def running(loop: Loop, database_url: str, **changes: Any) -> Iterator[Service]:  # noqa: ANN401
    """The service with the settings of the tests, but for *changes*."""
    settings = settings_for(database_url, **changes)
    with serving(loop, build_app(settings), http=http_protocol(settings)) as url:
        service = Service(url, database_url, loop)
        try:
            yield service
        finally:
            service.client.close()


@pytest.fixture(scope="session")
def routee(loop: Loop) -> SimulatedRoutee:
    """A Routee that posts no callbacks by itself."""

    async def build() -> SimulatedRoutee:
        return SimulatedRoutee(
            behaviour=Behaviour(delay_seconds=3600),
            application_id=ROUTEE_ID,
            application_secret=ROUTEE_SECRET,
        )

    return loop.run(build())


@pytest.fixture(scope="session")
def shared_url(server_url: str) -> Iterator[str]:
    """One database for all tests that keep to ids of their own."""
    with fresh_database(server_url) as database_url:
        yield database_url


@pytest.fixture(scope="session")
def routee_urls(loop: Loop, routee: SimulatedRoutee) -> Iterator[dict[str, str]]:
    """The settings that lead to it: whichever service of a database performs a duty asks it."""
    with serving(loop, routee.app) as url:
        yield {"routee_api_url": url, "routee_auth_url": url}


@pytest.fixture(scope="session")
def fast_service(loop: Loop, shared_url: str, routee_urls: dict[str, str]) -> Iterator[Service]:
    """A service as it is by default."""
    with running(loop, shared_url, **routee_urls) as service:
        yield service


@pytest.fixture(scope="session")
def plain_service(loop: Loop, shared_url: str, routee_urls: dict[str, str]) -> Iterator[Service]:
    """A service on the same database with RECEIVER_FAST_PROTOCOL=false."""
    with running(loop, shared_url, fast_protocol=False, **routee_urls) as service:
        yield service


@pytest.fixture(scope="session")
def service(fast_service: Service) -> Service:
    """One service for all tests that keep to ids of their own."""
    return fast_service


@pytest.fixture(params=["fast_service", "plain_service"])
def each_service(request: pytest.FixtureRequest) -> Service:
    """That service with either protocol, for tests that post callbacks."""
    service: Service = request.getfixturevalue(request.param)
    return service


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def fast_protocol(request: pytest.FixtureRequest) -> bool:
    """RECEIVER_FAST_PROTOCOL of a service of a test's own."""
    return bool(request.param)
