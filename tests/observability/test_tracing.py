"""Traces: whether they can be on, and what a span may have."""

import asyncio
import contextvars
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from app.errors import ConfigurationError
from app.observability import tracing
from app.sandbox.processes import eventually
from app.settings import SettingsInvalid, load_settings

pytest.importorskip("opentelemetry.sdk", reason="the extra `tracing` is not installed")

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.observability.otlp import Collector, attributes_of, collecting

SECRET = "secret-of-all-callbacks-0123456789abcdef"


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture
async def traced() -> AsyncIterator[tuple[tracing.Tracing, Collector]]:
    with collecting() as collector:
        traces = tracing.start(collector.url)
        assert traces is not None
        yield traces, collector
        await traces.aclose()


async def _named(collector: Collector, name: str, items: int = 1) -> list[Span]:
    async def _came() -> bool:
        return sum(span.name == name for span in collector.spans) >= items

    await eventually(_came)
    return [span for span in collector.spans if span.name == name]


async def test_a_flush_links_to_the_requests_that_it_stored_up_to_a_bound(
    traced: tuple[tracing.Tracing, Collector],
) -> None:
    _, collector = traced
    bodies = [[number] for number in range(tracing.MAX_LINKS + 20)]
    stored = asyncio.Event()

    async def _wait(body: list[int]) -> None:
        with tracing.work("request"), tracing.waiting(body):
            await stored.wait()

    requests = [asyncio.create_task(_wait(body)) for body in bodies]
    await asyncio.sleep(0)
    with tracing.flush("store callbacks", [*bodies, ["of no request"]]):
        tracing.noting_statements()("SELECT append($1, 'x')", 1, None)  # type: ignore[misc]
    stored.set()
    await asyncio.gather(*requests)

    [request, *others] = await _named(collector, "request", len(bodies))
    [flush] = await _named(collector, "store callbacks")
    [statement] = await _named(collector, "SELECT")
    ids = {one.span_id for one in [request, *others]}
    assert flush.parent_span_id in ids
    assert len(flush.links) == tracing.MAX_LINKS
    assert {link.span_id for link in flush.links} < ids - {flush.parent_span_id}
    linking = [one for one in [request, *others] if one.links]
    assert {one.span_id for one in linking} == ids - {flush.parent_span_id}
    assert {link.span_id for one in linking for link in one.links} == {flush.span_id}
    assert (statement.trace_id, statement.parent_span_id) == (flush.trace_id, flush.span_id)
    assert attributes_of(statement)["db.query.text"] == "SELECT append($1, '?')"


async def test_sql_belongs_to_the_flush_or_the_request_that_it_is_for_or_to_none(
    traced: tuple[tracing.Tracing, Collector],
) -> None:
    traces, collector = traced
    with tracing.work("request"):
        # The task that flushes was begun by some request.
        with tracing.flush("store callbacks", [["not sampled"]]):
            traces.note_statement("INSERT", began_ns=1, ended_ns=2, error=None)
        traces.note_statement(";", began_ns=1, ended_ns=2, error=None)
        traces.note_statement("SELECT 1", began_ns=1, ended_ns=2, error=None)
        going_on = contextvars.copy_context()
    late = time.time_ns() + 60_000_000_000
    going_on.run(
        lambda: traces.note_statement("UPDATE", began_ns=late, ended_ns=late + 1, error=None)
    )
    traces.note_statement("DELETE", began_ns=1, ended_ns=2, error=None)
    await traces.aclose()
    assert sorted(span.name for span in collector.spans) == ["SELECT", "request"]


async def test_an_error_is_noted_by_its_class_alone(
    traced: tuple[tracing.Tracing, Collector],
) -> None:
    _, collector = traced
    with pytest.raises(ValueError, match="306912"), tracing.work("launch"):
        raise ValueError("no such number: 306912345678")
    [span] = await _named(collector, "launch")
    assert attributes_of(span) == {"error.type": "ValueError"}
    assert not span.events
    assert b"306912" not in collector.octets


async def test_variables_of_opentelemetry_say_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "callbacks-of-the-shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with collecting() as collector:
        traces = tracing.start(f"{collector.url}/v1/traces")
        assert traces is not None
        with tracing.work("sent at the end"):
            pass
        await traces.aclose()
        assert [span.name for span in collector.spans] == ["sent at the end"]
        assert collector.paths == {"/v1/traces"}
        assert collector.resource["service.name"] == "callbacks-of-the-shop"
        assert collector.resource["deployment.environment.name"] == "test"
        assert collector.resource["service.version"]

        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        traces = tracing.start(collector.url)
        assert traces is not None
        with tracing.work("not sampled"), tracing.waiting(collector):
            assert traces.current() is None
            with tracing.flush("store callbacks", [collector]):
                pass
        await traces.aclose()
        assert len(collector.spans) == 1


async def test_a_collector_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = tracing.start(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert traces is not None
        with tracing.work("nobody sees it"):
            pass
        async with asyncio.timeout(60):
            await traces.aclose()


async def test_without_an_address_nothing_is_traced() -> None:
    assert tracing.start("") is None
    assert tracing.noting_statements() is None
    with (
        tracing.work("x"),
        tracing.waiting(1),
        tracing.flush("y", [1]),
        tracing.asking("launch", "POST", "host") as answered,
    ):
        answered(500)


def test_without_the_extra_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    tracing.require_extra("")
    with pytest.raises(ConfigurationError, match=r"pip install 'routee-receiver\[tracing\]'"):
        tracing.require_extra("http://127.0.0.1:4318")


def test_an_address_with_a_password_is_refused_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_TRACES_URL", "http://user:hidden@collector:4318")
    with pytest.raises(SettingsInvalid, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
        load_settings()
    assert "hidden" not in str(refused.value)


def _ended(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
    return subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-c", program, *arguments],
        env=own | {"RECEIVER_CALLBACK_SECRETS": SECRET} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_serve_without_the_extra_ends_with_one_line() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.exporter.otlp.proto.http'] = None\n"
        "from app.__main__ import main; main()"
    )
    ended = _ended(program, "serve", RECEIVER_TRACES_URL="http://127.0.0.1:4318")
    assert ended.returncode == 1
    assert ended.stderr == (
        "routee-receiver: RECEIVER_TRACES_URL needs OpenTelemetry: "
        "pip install 'routee-receiver[tracing]'\n"
    )


def test_without_traces_nothing_of_the_sdk_is_imported_and_the_receiver_stands_alone() -> None:
    program = (
        "import sys; from app.main import build_app; from app.settings import load_settings\n"
        "app = build_app(load_settings())\n"
        "found = [name for name in sys.modules if name.startswith('opentelemetry.')]\n"
        "print(type(app).__name__, [n for n in found if 'sdk' in n or 'exporter' in n])"
    )
    ended = _ended(program, RECEIVER_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert ended.stdout == "CallbackReceiver []\n", ended.stderr
