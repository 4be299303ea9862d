"""Traces of a running service, as a collector on a real socket gets them."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.types import Receive, Scope, Send

from app.domain.api_key import Scope as KeyScope
from app.sandbox.processes import eventually
from app.sandbox.routee import SimulatedRoutee
from tests.api.conftest import (
    SECRET,
    Loop,
    Service,
    campaign_request,
    new_id,
    progress,
    running,
    serving,
)

pytest.importorskip("opentelemetry.sdk", reason="the extra `tracing` is not installed")

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.observability.otlp import Collector, attributes_of, collecting

CALLER = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-01"}
STATUS = "POST /callbacks/{token}/status"


class _Listening:
    """Routee, with the headers that it gets."""

    def __init__(self, routee: SimulatedRoutee) -> None:
        self._app = routee.app
        self.headers: list[dict[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.headers.append(dict(scope["headers"]))
        await self._app(scope, receive, send)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with collecting() as collector:
        yield collector


@pytest.fixture
def listening(routee: SimulatedRoutee) -> _Listening:
    return _Listening(routee)


@pytest.fixture
def traced(
    loop: Loop, shared_url: str, collector: Collector, listening: _Listening
) -> Iterator[Service]:
    with (
        serving(loop, listening) as routee_url,
        running(
            loop,
            shared_url,
            routee_api_url=routee_url,
            routee_auth_url=routee_url,
            traces_url=collector.url,
        ) as service,
    ):
        yield service


def _eventually(collector: Collector, holds: Callable[[list[Span]], bool]) -> list[Span]:
    async def _holds() -> bool:
        return holds(collector.spans)

    asyncio.run(eventually(_holds))
    return collector.spans


def _named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def _children(spans: list[Span], parent: Span) -> list[Span]:
    return [
        span
        for span in spans
        if span.trace_id == parent.trace_id and span.parent_span_id == parent.span_id
    ]


def test_a_callback_leads_to_the_flush_that_stored_it_and_to_its_sql(
    traced: Service, collector: Collector
) -> None:
    callbacks = [progress(to="306912345678", label="of a person") for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda body: traced.stored(body, headers=TRACEPARENT), callbacks))

    def _has_all(spans: list[Span]) -> bool:
        items = sum(
            int(attributes_of(flush)["routee_receiver.bodies"])
            for flush in _named(spans, "store callbacks")
        )
        return len(_named(spans, STATUS)) == items == len(callbacks)

    spans = _eventually(collector, _has_all)
    flushes = {span.span_id: span for span in _named(spans, "store callbacks")}
    for request in _named(spans, STATUS):
        its = [*_children(spans, request), *(flushes[link.span_id] for link in request.links)]
        assert [span.name for span in its] == ["store callbacks"]
        assert request.trace_id.hex() != CALLER
        assert not request.parent_span_id
        assert attributes_of(request) == {
            "http.request.method": "POST",
            "http.route": "/callbacks/{token}/status",
            "http.response.status_code": 200,
        }
    for flush in flushes.values():
        texts = [attributes_of(one).get("db.query.text") for one in _children(spans, flush)]
        assert "SELECT append_events($1, $2)" in texts
    for secret in (SECRET, "306912345678", "of a person", callbacks[0]["trackingId"]):
        assert secret.encode() not in collector.octets


def test_a_call_of_the_api_leads_to_its_sql_in_the_trace_of_its_caller(
    traced: Service, collector: Collector
) -> None:
    message = new_id()
    headers = traced.bearer(KeyScope.READ) | TRACEPARENT
    assert traced.client.get(f"/v1/messages/{message}", headers=headers).status_code == 404
    numbers = {"to": "+306912345678"}
    assert traced.client.get("/v1/messages", params=numbers, headers=headers).status_code == 200
    assert traced.client.get(f"/v1/nothing/{message}", headers=headers).status_code == 404
    names = ["GET /v1/messages/{tracking_id}", "GET /v1/messages", "GET"]
    spans = _eventually(
        collector, lambda spans: all(len(_named(spans, name)) == 1 for name in names)
    )
    for name in names:
        [call] = _named(spans, name)
        assert call.trace_id.hex() == CALLER
        assert call.parent_span_id.hex() == "b7ad6b7169203331"
    for name in names[:2]:
        [call] = _named(spans, name)
        assert attributes_of(call)["http.route"] == name.removeprefix("GET ")
        sql = _children(spans, call)
        assert any(span.name == "SELECT" for span in sql)
        for span in sql:
            assert attributes_of(span)["db.system.name"] == "postgresql"
            assert call.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= call.end_time_unix_nano + 1_000_000_000
    key = headers["Authorization"].removeprefix("Bearer ")
    for secret in (message, "306912345678", key):
        assert secret.encode() not in collector.octets


def test_a_launch_leads_to_its_requests_to_routee_which_gets_no_trace(
    traced: Service, collector: Collector, listening: _Listening
) -> None:
    answer = traced.client.post(
        "/v1/campaigns",
        json=campaign_request(),
        headers=traced.bearer(KeyScope.CAMPAIGNS) | TRACEPARENT,
    )
    assert answer.status_code == 201
    spans = _eventually(collector, lambda spans: bool(_named(spans, "POST /v1/campaigns")))
    [call] = _named(spans, "POST /v1/campaigns")
    [launch] = [span for span in _children(spans, call) if span.name == "launch campaign"]
    assert call.trace_id.hex() == CALLER
    assert attributes_of(launch) == {"routee_receiver.campaign": answer.json()["id"]}
    asked = {
        span.name: attributes_of(span)
        for span in spans
        if span.name.startswith("Routee ") and span.trace_id == call.trace_id
    }
    assert asked["Routee launch"]["http.response.status_code"] == 200
    assert asked["Routee launch"]["server.address"] == "127.0.0.1"
    [sent] = [span for span in spans if span.name == "Routee launch"]
    assert sent.parent_span_id == launch.span_id
    assert listening.headers
    assert not any(b"traceparent" in headers for headers in listening.headers)
    for secret in ("306912345678", "Your parcel"):
        assert secret.encode() not in collector.octets


def test_a_collector_that_is_away_costs_nothing_but_the_traces(
    loop: Loop, shared_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(loop, shared_url, traces_url="http://127.0.0.1:9") as service:
        body = progress()
        service.stored(body)
        assert service.message(body["trackingId"])["campaignTrackingId"]
    assert SECRET not in caplog.text
