"""The fast routes answer as FastAPI's dependency injection would."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, quote

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ScopeOfAsgi

from app.api.compression import Compressed
from app.api.fast_reads import FastRead, FastReads, ReadById
from app.api.middleware import Counted, HangUps, HeadRequests, NoStore, Ports, RawPath, RequestIds
from app.api.receiver import CallbackReceiver
from app.api.request_bodies import RequestBodies
from app.api.routes.events import FeedQuery
from app.domain.api_key import Scope
from app.domain.feed import BEGINNING, encode_position
from app.errors import NotFound
from app.main import build_app
from app.web.application import WithDashboard
from tests.api.conftest import (
    Loop,
    Service,
    new_id,
    progress,
    reply,
    running,
    serving,
    settings_for,
    status,
)

ODD = "a/b c%é\u20ac?#" + new_id()


class Recorder:
    """Stands between the fast routes and FastAPI, and records which calls reach FastAPI."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api
        self.state = api.state
        self.paths: list[str] = []

    async def __call__(self, scope: ScopeOfAsgi, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self._api(scope, receive, send)


def _fast_reads_of(app: ASGIApp) -> tuple[Counted, FastReads]:
    """The fast routes, and what stands directly before them."""
    before = app
    while isinstance(
        before,
        CallbackReceiver
        | HangUps
        | RawPath
        | HeadRequests
        | NoStore
        | Compressed
        | RequestBodies
        | RequestIds
        | Ports
        | WithDashboard,
    ):
        before = before._app
    assert isinstance(before, Counted)
    fast_reads = before._app
    assert isinstance(fast_reads, FastReads)
    return before, fast_reads


@pytest.fixture(scope="module")
def routes(loop: Loop, service: Service) -> Iterator[httpx.Client]:
    """The same service without fast routes: FastAPI resolves all arguments."""
    app = build_app(settings_for(service.database_url))
    ports, fast_reads = _fast_reads_of(app)
    ports._app = fast_reads._api
    with (
        serving(loop, app) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
    ):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(FastRead, "get_route_handler", APIRoute.get_route_handler)
            for path in ("/v1/messages/x", "/v1/status/x", "/v1/events"):
                client.get(path)  # FastAPI makes the handler of a route for its first call
        for each in (client, service.client):
            each.headers["X-Request-Id"] = "the-same"
        yield client
        del service.client.headers["X-Request-Id"]


@pytest.fixture(scope="module")
def known(service: Service) -> dict[str, str]:
    """What is stored, by what it is."""
    document = progress(status=status("SEEN", "2026-03-01T10:00:00.123Z"), price=1e-7)
    service.stored(document)
    service.stored(progress(trackingId=ODD, status=status("Clicked"), to="Ωmega\u2028\x7f"))
    service.stored(reply(referenceTrackingId=document["trackingId"]))
    service.knows_events_of(document["campaignTrackingId"])
    return {
        "message": document["trackingId"],
        "campaign": document["campaignTrackingId"],
        "odd": quote(ODD, safe=""),
        "start": encode_position(BEGINNING),
    }


PATHS = [
    "/v1/messages/{message}",
    "/v1/messages/{message}?x=1",
    "/v1/messages/{odd}",
    "/v1/messages/lookup",
    "/v1/messages/nobody's",
    "/v1/messages/%00",
    "/v1/messages/%FF",
    "/v1/messages/" + "x" * 513,
    "/v1/messages/{message}/",
    "/v1/messages//",
    "/v1/status/{message}",
    "/v1/status/{odd}",
    "/v1/status/{campaign}",
    "/v1/status/nobody's",
    "/v1/status/%00",
    "/v1/events?after={start}",
    "/v1/events?after={start}&limit=2",
    "/v1/events?after={start}&limit=2&wait=1",
    "/v1/events?after={start}&wait=30",
    "/v1/events?after={start}&limit=0",
    "/v1/events?after={start}&limit=1001",
    "/v1/events?after={start}&wait=31",
    "/v1/events?after={start}&limit=1&limit=2",
    "/v1/events?after={start}&type=message.inbound",
    "/v1/events?after={start}x",
    "/v1/events?after=f1-9-9-9-00000000",
    "/v1/events?after=beginning",
    "/v1/events?after=now&campaignTrackingId={campaign}",
    "/v1/events?after={start}&campaignTrackingId={campaign}&limit=007&wait=0",
    "/v1/events?after={start}&campaignTrackingId=%00&type=x&wait=nan",
    "/v1/events?after={start}&campaign_tracking_id=x&kind=message.inbound",
    "/v1/events?after=&limit=&wait=&type=",
    "/v1/events?after=" + "x" * 101,
    "/v1/events?after={start}&limit=1.5&wait=1e1&other=%FF",
    "/v1/events/",
]
NO_KEYS = ["", "Bearer", "Basic cnI6cnI=", "Bearer rr_" + "x" * 43, "Bearer\tx", "x"]


def _answered(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    headers = {
        name: value.removeprefix(f"http://{answer.url.netloc.decode()}")
        for name, value in answer.headers.items()
        if name != "date"
    }
    return answer.status_code, headers, answer.content


def _is_same(
    service: Service, routes: httpx.Client, path: str, headers: dict[str, str], method: str = "GET"
) -> httpx.Response:
    ours = service.client.request(method, path, headers=headers)
    assert _answered(ours) == _answered(routes.request(method, path, headers=headers))
    return ours


@pytest.mark.parametrize("path", PATHS)
def test_the_same_is_answered(
    service: Service, routes: httpx.Client, known: dict[str, str], path: str
) -> None:
    path = path.format(**known)
    for scope in (Scope.READ, Scope.ADMIN, Scope.CAMPAIGNS):
        answer = _is_same(service, routes, path, service.bearer(scope))
    for header in NO_KEYS:
        _is_same(service, routes, path, {"Authorization": header})
    _is_same(service, routes, path, {})
    reader = service.bearer(Scope.READ)
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        _is_same(service, routes, path, reader, method)
    tag = service.client.get(path, headers=reader).headers.get("etag", "x")
    for named in (tag, tag.removeprefix("W/"), "*", '"other"', f'"x", {tag}'):
        answer = _is_same(service, routes, path, reader | {"If-None-Match": named})
        assert (answer.status_code == 304) == (tag != "x" and named != '"other"')


def test_the_routes_compared_with_have_their_arguments_from_fastapi(
    service: Service,
    routes: httpx.Client,
    known: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def _fail(*_: object) -> tuple[object, ...]:
        raise NotFound

    monkeypatch.setattr(ReadById, "arguments", _fail)
    path, reader = f"/v1/messages/{known['message']}", service.bearer(Scope.READ)
    assert service.client.get(path, headers=reader).status_code == 404
    assert routes.get(path, headers=reader).status_code == 200


def test_two_keys_are_refused_in_the_same_way(
    service: Service, routes: httpx.Client, known: dict[str, str]
) -> None:
    """The first one counts."""
    key = service.bearer(Scope.READ)["Authorization"]
    path = f"/v1/messages/{known['message']}"
    for keys, expected in (((key, "Bearer x"), 200), (("Bearer x", key), 401)):
        headers = [("Authorization", one) for one in keys]
        answers = [client.get(path, headers=headers) for client in (service.client, routes)]
        assert [answer.status_code for answer in answers] == [expected] * 2


@pytest.mark.parametrize(
    ("query", "limit", "wait"),
    [("", 100, 0), ("&limit=1000", 1000, 0), ("&wait=30", 100, 30), ("&limit=007&wait=0", 7, 0)],
)
def test_the_parameters_of_followers_are_understood(query: str, limit: int, wait: float) -> None:
    start = encode_position(BEGINNING)
    asked = FeedQuery.model_validate(dict(parse_qsl(f"after={start}{query}")))
    assert (asked.after, asked.limit, asked.wait) == (start, limit, wait)


def test_polled_calls_do_not_reach_fastapi(
    loop: Loop, service: Service, known: dict[str, str]
) -> None:
    app = build_app(settings_for(service.database_url))
    _, fast_reads = _fast_reads_of(app)
    recorder = Recorder(fast_reads._api)
    fast_reads._api = recorder  # type: ignore[assignment]
    reader = service.bearer(Scope.READ)
    fast = [
        "/v1/messages/{message}",
        "/v1/messages/{odd}",
        "/v1/messages/%00",
        "/v1/status/{message}",
        "/v1/status/{campaign}",
        "/v1/events",
        "/v1/events?after={start}&wait=1",
        "/v1/events?after=nonsense",
    ]
    slow = ["/v1/messages/{message}/events", "/v1/messages", "/v1/events/", "/livez"]
    with (
        serving(loop, app) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
    ):
        for path in fast:
            assert client.get(path.format(**known), headers=reader).status_code != 500
            assert client.get(path.format(**known)).status_code in {401, 404}
        assert recorder.paths == []
        for path in slow:
            client.get(path.format(**known), headers=reader)
        assert recorder.paths == [path.format(**known) for path in slow]
        assert client.head("/v1/events", headers=reader).status_code == 200
        assert recorder.paths[-1] != "/v1/events"
        client.put("/v1/events", headers=reader)
        assert recorder.paths[-1] == "/v1/events"


def test_a_process_for_callbacks_alone_answers_no_reads(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url, surface="callbacks") as callbacks:
        assert callbacks.get("/v1/messages/x").status_code == 404
        assert callbacks.get(f"/v1/events?after={encode_position(BEGINNING)}").status_code == 404


def test_a_process_for_the_api_alone_answers_them(
    loop: Loop, service: Service, known: dict[str, str]
) -> None:
    with running(loop, service.database_url, surface="api") as api:
        assert api.message(known["message"]) == service.message(known["message"])
