"""What is answered in front of FastAPI is what the routes behind it answer."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from app.api.raw_path import RawPath
from app.api.receiver import CallbackReceiver
from app.api.routes.events import plainly_asked
from app.api.short_cut import ShortCut
from app.domain.api_key import Scope
from app.domain.feed import BEGINNING, encode_position
from app.main import build_app
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


@pytest.fixture(scope="module")
def routes(loop: Loop, service: Service) -> Iterator[httpx.Client]:
    """The same service without the short cut."""
    app = build_app(settings_for(service.database_url))
    assert isinstance(app, CallbackReceiver)
    raw = app._app
    assert isinstance(raw, RawPath)
    short = raw._app
    assert isinstance(short, ShortCut)
    app._app = RawPath(short._app)
    with (
        serving(loop, app) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def known(service: Service) -> dict[str, str]:
    """What is stored, by what it is."""
    document = progress(status=status("SEEN", "2026-03-01T10:00:00.123Z"), price=1e-7)
    service.stored(document)
    service.stored(progress(trackingId=ODD, status=status("Clicked"), to="Ωmega\u2028\x7f"))
    service.stored(reply(referenceTrackingId=document["trackingId"]))
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


def test_two_keys_are_one_too_many_in_the_same_way(
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
def test_followers_take_the_short_cut(query: str, limit: int, wait: float) -> None:
    asked = plainly_asked(f"after={encode_position(BEGINNING)}{query}")
    assert asked is not None
    assert (asked.after, asked.limit, asked.wait_seconds) == (BEGINNING, limit, wait)


def test_a_process_for_callbacks_alone_answers_no_reads(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url, surface="callbacks") as callbacks:
        assert callbacks.get("/v1/messages/x").status_code == 404
        assert callbacks.get(f"/v1/events?after={encode_position(BEGINNING)}").status_code == 404


def test_a_process_for_the_api_alone_answers_them(
    loop: Loop, service: Service, known: dict[str, str]
) -> None:
    with running(loop, service.database_url, surface="api") as api:
        assert api.message(known["message"]) == service.message(known["message"])
