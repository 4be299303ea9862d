"""The feed as server-sent events: the same items, on a connection that lasts."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.types import Message

from app.api.fast_reads import FastReads
from app.api.feed_json import feed_json
from app.api.feed_stream import FeedStream, wants_stream
from app.db.feed.pages import FeedPage
from app.domain.api_key import Scope
from app.domain.feed import BEGINNING, decode_position
from app.errors import Overloaded, Unauthorized
from app.kit.slices import Slices
from app.main import build_app
from app.observability.metrics import Metrics
from app.services.feed.pages import Feed, FeedForm, make_feed
from tests.api.conftest import (
    Loop,
    Service,
    new_id,
    progress,
    reply,
    serving,
    settings_for,
    status,
)
from tests.db.feed.feed_stage import EVERYTHING, event, store

STREAM = {"Accept": "text/event-stream"}
Event = dict[str, str]


@contextmanager
def streaming(service: Service, *, last: str = "", **query: Any) -> Iterator[httpx.Response]:  # noqa: ANN401
    headers = service.bearer(Scope.READ) | STREAM | ({"Last-Event-ID": last} if last else {})
    with service.client.stream("GET", "/v1/events", params=query, headers=headers) as answer:
        yield answer


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Events as a browser reads them: comments and ids without data are none."""
    event: Event = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
        elif not line:
            if "data" in event:
                yield event
            event = {}


def test_a_stream_has_the_items_of_the_pages(service: Service) -> None:
    campaign = new_id("c")
    document = progress(campaignTrackingId=campaign, status=status("SEEN"))
    service.stored(document)
    service.stored(
        reply(campaignTrackingId=campaign, message="one\ntwo\r\u2028three\u2029\x85\x1c")
    )
    pages = service.read("/v1/events", campaignTrackingId=campaign, wait=5)["items"]
    assert len(pages) == 2
    with streaming(service, campaignTrackingId=campaign) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert "accept" in answer.headers["vary"].lower().split(", ")
        events = _events(answer.iter_lines())
        got = [next(events), next(events)]
        assert [json.loads(one["data"]) for one in got] == pages
        assert [one["event"] for one in got] == [item["type"] for item in pages]
        service.stored(document | {"status": status("DELIVERED", "2026-03-01T10:00:00Z")})
        late = next(events)
    assert json.loads(late["data"])["data"]["status"] == "DELIVERED"
    following = service.read("/v1/events", campaignTrackingId=campaign, after=got[0]["id"])
    assert [item["id"] for item in following["items"]] == [
        json.loads(one["data"])["id"] for one in (got[1], late)
    ]


def test_a_stream_goes_on_with_the_last_event_whatever_after_says(service: Service) -> None:
    campaign = new_id("c")
    service.stored([progress(campaignTrackingId=campaign) for _ in range(3)])
    service.read("/v1/events", campaignTrackingId=campaign, wait=5)
    with streaming(service, campaignTrackingId=campaign, limit=2) as answer:
        events = _events(answer.iter_lines())
        first, second, third = (next(events) for _ in range(3))
    query = {"campaignTrackingId": campaign, "after": "beginning"}
    with streaming(service, last=first["id"], **query) as answer:
        events = _events(answer.iter_lines())
        assert [next(events)["id"], next(events)["id"]] == [second["id"], third["id"]]


def test_a_stream_takes_the_filters_and_members_of_the_pages(service: Service) -> None:
    campaign = new_id("c")
    service.stored(progress(campaignTrackingId=campaign))
    service.stored(reply(campaignTrackingId=campaign))
    query: dict[str, Any] = {
        "campaignTrackingId": campaign,
        "type": "message.inbound",
        "fields": "id,type",
    }
    service.read("/v1/events", wait=5, **query)
    with streaming(service, **query) as answer:
        (data,) = [json.loads(next(_events(answer.iter_lines()))["data"])]
    assert list(data) == ["id", "type"]
    assert data["type"] == "message.inbound"


@pytest.mark.parametrize(
    ("query", "last", "code"),
    [
        ({"campaignTrackingId": "unknown"}, "", 404),
        ({"limit": 0}, "", 422),
        ({"nonsense": 1}, "", 422),
        ({"fields": "nonsense"}, "", 422),
        ({"after": "nonsense"}, "", 400),
        ({}, "nonsense", 400),
    ],
)
def test_what_cannot_be_streamed_is_answered_as_a_problem(
    service: Service, query: dict[str, Any], last: str, code: int
) -> None:
    with streaming(service, last=last, **query) as answer:
        answer.read()
        assert answer.status_code == code
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_stream_needs_a_key(service: Service) -> None:
    assert service.client.get("/v1/events", headers=STREAM).status_code == 401


def test_a_revoked_key_ends_its_stream(service: Service) -> None:
    key_id, key = service.add_key(Scope.READ)
    headers = STREAM | {"Authorization": f"Bearer {key}"}
    with service.client.stream("GET", "/v1/events?after=now", headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith(":")
        service.sql("UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
        for _ in range(60):  # keys are verified before each page, and remembered for seconds
            service.stored(progress())
            try:
                if any(line == "retry: 1000" for line in _some(lines)):
                    return
            except StopIteration:
                return
    pytest.fail("the stream goes on")


def _some(lines: Iterator[str]) -> Iterator[str]:
    """The lines of one event, or the rest of a stream that ends."""
    for line in lines:
        yield line
        if not line:
            return


def test_too_many_clients_that_wait_are_refused_and_all_others_are_answered(
    loop: Loop, service: Service
) -> None:
    receiver: Any = build_app(settings_for(service.database_url))
    api = receiver
    while not isinstance(api, FastReads):
        api = api._app
    api._api.state.parts.feed._max_clients = 0
    with (
        serving(loop, receiver) as url,
        httpx.Client(base_url=url, headers=service.bearer(Scope.READ), trust_env=False) as client,
    ):
        for path, headers in (("/v1/events?wait=1", {}), ("/v1/events", STREAM)):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:routee-receiver:problem:overloaded"
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/v1/events?limit=1").status_code == 200


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/event-stream", True),
        ("Text/Event-Stream; q=0.5", True),
        ("text/event-stream;q=0", False),
        ("application/json, text/event-stream", False),
        ("application/json, text/event-stream, application/problem+json", False),
        ("application/json;q=0.9, text/event-stream", True),
        ("application/json, text/event-stream;q=0.9", False),
        ("text/*", False),
    ],
)
def test_a_stream_is_for_those_who_ask_for_it(accept: str, *, is_stream: bool) -> None:
    assert wants_stream(accept) == is_stream


@pytest.fixture
async def feed(url: str) -> AsyncIterator[Feed]:
    render = partial(feed_json, slices=Slices())
    feed = make_feed(url, Metrics(), render=render, busy_pages_per_second=0)
    yield feed
    await feed.close()


class Client:
    """What a client of one stream gets."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.came = asyncio.Event()
        self.is_gone = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.came.set()

    async def receive(self) -> Message:
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(20):
            while text not in self.text:
                self.came.clear()
                await self.came.wait()

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_complete(self) -> bool:
        return self.sent[-1].get("more_body") is False


async def _good() -> None:
    pass


async def _stream(
    feed: Feed, client: Client, verify: Callable[[], Awaitable[None]] = _good, **seconds: float
) -> None:
    form = FeedForm(as_events=True)
    first = await feed.page(EVERYTHING, after=BEGINNING, limit=10, form=form)
    stream = FeedStream(
        feed, EVERYTHING, first, after=BEGINNING, limit=10, form=form, verify=verify, **seconds
    )
    async with asyncio.timeout(30):
        await stream({"type": "http"}, client.receive, client.send)


async def test_a_stream_without_items_has_heartbeats_that_are_no_events(feed: Feed) -> None:
    client = Client()
    await _stream(feed, client, heartbeat_seconds=0.05, stream_seconds=0.5)
    lines = client.text.decode().splitlines()
    assert lines.count(": nothing new") > 2
    assert list(_events(iter(lines))) == []


async def test_a_stream_ends_with_its_time_and_says_when_to_come_again(feed: Feed) -> None:
    client = Client()
    await _stream(feed, client, stream_seconds=0.1)
    assert client.text.endswith(b"retry: 1000\n\n")
    assert client.is_complete


async def test_a_stream_ends_on_shutdown(feed: Feed) -> None:
    client = Client()
    streaming = asyncio.create_task(_stream(feed, client))
    await client.until(b": nothing new\n")
    feed.release()
    await streaming
    assert client.is_complete


async def test_a_stream_ends_when_its_key_is_no_longer_good(feed: Feed) -> None:
    async def _revoked() -> None:
        raise Unauthorized

    client = Client()
    await _stream(feed, client, _revoked)
    assert client.is_complete


async def test_a_stream_ends_with_its_client(feed: Feed) -> None:
    client = Client()
    streaming = asyncio.create_task(_stream(feed, client))
    await client.until(b": nothing new\n")
    client.is_gone.set()
    await streaming
    assert not client.is_complete
    with feed.place():
        pass


async def test_streams_and_polls_share_the_reads_and_the_places(
    url: str, connection: asyncpg.Connection
) -> None:
    renders = 0

    async def _counted(page: FeedPage, form: FeedForm) -> bytes:
        nonlocal renders
        renders += bool(page.items)
        return await feed_json(page, form, Slices())

    feed = make_feed(url, Metrics(), render=_counted, busy_pages_per_second=0, max_clients=40)
    clients = [Client() for _ in range(40)]
    streams = [asyncio.create_task(_stream(feed, client)) for client in clients]
    try:
        await asyncio.gather(*(client.until(b": nothing new\n") for client in clients))
        with pytest.raises(Overloaded), feed.place():
            pytest.fail("there is no place left")
        await store(connection, event("m"))
        await asyncio.gather(*(client.until(b"event: message.status\n") for client in clients))
        assert renders < 10
        lines = (iter(client.text.decode().splitlines()) for client in clients)
        cursors = {one["id"] for every in lines for one in _events(every)}
        assert len(cursors) == 1
        assert decode_position(cursors.pop()) > BEGINNING
    finally:
        feed.release()
        await asyncio.gather(*streams)
        await feed.close()
    with feed.place():
        pass
