"""What callers and Routee are told while the database is away, and that all goes on after."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from app.domain.api_key import Scope
from app.services.readiness import KEPT_SECONDS
from tests.api.conftest import Loop, Service, campaign_request, progress, running
from tests.conftest import database_url


@pytest.fixture
def fresh(loop: Loop, url: str, fast_protocol: bool) -> Iterator[Service]:  # noqa: FBT001
    """A service with a database of its own."""
    with running(loop, url, fast_protocol=fast_protocol) as service:
        service.bearer(Scope.ADMIN)
        yield service


@contextmanager
def _away(service: Service, server_url: str) -> Iterator[None]:
    """Rename the database away, its connections cut, and back at the end."""
    name = urlsplit(service.database_url).path.removeprefix("/")
    elsewhere = f"{name}_away"
    server = Service(service.url, database_url(server_url, "postgres"), service.loop)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.sql(cut, name)
    _renamed(server, name, elsewhere)
    try:
        yield
    finally:
        _renamed(server, elsewhere, name)
        server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        server.client.close()


def _renamed(server: Service, name: str, other: str) -> None:
    for _ in range(50):
        try:
            server.sql(f"ALTER DATABASE {name} RENAME TO {other}")
        except asyncpg.ObjectInUseError:  # a connection is still ending
            time.sleep(0.05)
        else:
            return
    raise TimeoutError


def _is_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["status"] == 503


READS: dict[str, Callable[[Service], httpx.Response]] = {
    path: lambda service, path=path: service.get(path, Scope.ADMIN)  # type: ignore[misc]
    for path in (
        "/v1/messages/x",
        "/v1/messages?to=x",
        "/v1/messages/x/events",
        "/v1/campaigns/x",
        "/v1/campaigns/x/messages",
        "/v1/status/x",
        "/v1/inbound-messages",
        "/v1/inbound-messages/1",
        "/readyz",
    )
}


def test_everything_says_503_while_the_database_is_away_and_works_when_it_is_back(
    fresh: Service, server_url: str
) -> None:
    document = progress()
    fresh.stored(document)
    assert fresh.get("/readyz").status_code == 200
    with _away(fresh, server_url):
        time.sleep(KEPT_SECONDS)  # for so long `/readyz` repeats its answer
        for read in READS.values():
            _is_unavailable(read(fresh))
        launch = fresh.client.post(
            "/v1/campaigns", json=campaign_request(), headers=fresh.bearer(Scope.ADMIN)
        )
        _is_unavailable(launch)
        _is_unavailable(fresh.post(progress()))
        assert fresh.client.get("/livez").status_code == 200
        assert fresh.client.get("/metrics").status_code == 200
    fresh.stored(progress())
    assert fresh.message(document["trackingId"])["status"] == "DELIVERED"
    time.sleep(KEPT_SECONDS)
    assert fresh.get("/readyz").status_code == 200


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_connection_that_was_cut_is_replaced_unnoticed(
    fresh: Service, read: Callable[[Service], httpx.Response]
) -> None:
    expected = read(fresh).status_code
    name = urlsplit(fresh.database_url).path.removeprefix("/")
    fresh.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = $1 AND pid <> pg_backend_pid()",
        name,
    )
    assert read(fresh).status_code == expected


def test_a_server_that_is_not_there_is_503(
    loop: Loop,
    fast_protocol: bool,  # noqa: FBT001
) -> None:
    nowhere = "postgresql://receiver@127.0.0.1:9/nothing"
    with running(loop, nowhere, fast_protocol=fast_protocol) as service:
        service.keys[Scope.ADMIN] = "rr_" + "x" * 43
        for read in READS.values():
            _is_unavailable(read(service))
        started = time.monotonic()
        _is_unavailable(service.post(progress()))
        assert time.monotonic() - started < 1.95


def test_a_server_that_refuses_us_is_503(loop: Loop, url: str) -> None:
    parts = urlsplit(url)
    stranger = parts._replace(netloc=parts.netloc.replace(parts.username or "", "stranger", 1))
    with running(loop, stranger.geturl()) as service:
        service.keys[Scope.ADMIN] = "rr_" + "x" * 43
        for read in READS.values():
            _is_unavailable(read(service))
        _is_unavailable(service.post(progress()))


def test_a_schema_of_another_version_is_not_ready(fresh: Service) -> None:
    fresh.sql("UPDATE alembic_version SET version_num = '9999'")
    fresh.sql("DELETE FROM schema_programs")
    answer = fresh.client.get("/readyz")
    assert answer.status_code == 503
    assert "is newer than this program" in answer.json()["detail"]
