"""The feed over HTTP, from a service on a real socket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.db.feed.positions import raise_floor
from app.domain.api_key import Scope, digest, make_key
from app.domain.feed import Position, decode_position
from app.main import build_app
from app.sandbox.serving import listening_socket, served, url_of
from app.settings import Settings
from tests.promises.load import callback, reply
from tests.promises.stage import Service, eventually

SECRET = "secret-of-all-callbacks-0123456789abcdef"
FEED_PAGE = Path(__file__).parents[3] / "docs" / "feed.md"


async def _new_key(url: str) -> str:
    key = make_key()
    database = Database(url, name="tests", pool_items=1)
    await add_api_key(
        database, name="tests", sha256=digest(key), scopes=frozenset({Scope.READ}), expires_at=None
    )
    await database.close()
    return key


class Caller:
    """Posts callbacks and follows the feed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, *bodies: bytes) -> None:
        for body in bodies:
            answer = await self.client.post(f"/callbacks/{SECRET}/status", content=body)
            assert answer.json() == {"result": "stored"}, answer.text

    async def get(self, **parameters: Any) -> httpx.Response:  # noqa: ANN401
        return await self.client.get("/v1/events", params=parameters)

    async def page(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = await self.get(**parameters)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        assert set(document) == {"items", "nextCursor"}
        return document

    async def all(self, after: str = "beginning", **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Everything until nothing comes any more."""
        items: list[dict[str, Any]] = []
        while True:
            page = await self.page(after=after, **parameters)
            if page["nextCursor"] == after:
                return items
            after = page["nextCursor"]
            items += page["items"]

    async def metric(self, name: str) -> float:
        text = (await self.client.get("/metrics")).text
        match = re.search(rf"^{name} ([\d.e+-]+)$", text, re.MULTILINE)
        assert match is not None
        return float(match[1])


@asynccontextmanager
async def _calling(url: str, database_url: str) -> AsyncIterator[Caller]:
    headers = {"Authorization": f"Bearer {await _new_key(database_url)}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=40, trust_env=False, limits=limits
    ) as client:
        yield Caller(client)


@pytest.fixture
async def caller(url: str) -> AsyncIterator[Caller]:
    settings = Settings(database_url=url, callback_secrets=(SecretStr(SECRET),))
    listening = listening_socket()
    async with (
        served(build_app(settings), listening),
        _calling(url_of(listening), url) as caller,
    ):
        yield caller


def _summary(items: list[dict[str, Any]]) -> list[str]:
    return [f"{item['trackingId']} {item['data'].get('status', 'reply')}" for item in items]


async def test_everything_that_is_stored_comes_in_order(caller: Caller) -> None:
    await caller.post(
        callback("m", "SENT", days=1).body,
        reply("m", "thanks").body,
        callback("m", "QUEUED").body,
        callback("m", "SEEN", days=3).body,
    )
    items = await caller.all(limit=3)
    assert _summary(items) == ["m SENT", "m reply", "m QUEUED", "m SEEN"]
    assert [item["id"] for item in items] == sorted((item["id"] for item in items), key=int)
    status = items[2]
    assert datetime.fromisoformat(status.pop("receivedAt")).tzinfo is not None
    assert status == {
        "id": items[2]["id"],
        "type": "message.status",
        "trackingId": "m",
        "campaignTrackingId": "campaign",
        "occurredAt": "2026-03-01T00:00:00Z",
        "source": "callback",
        "data": {
            "status": "QUEUED",
            "providerStatus": "QUEUED",
            "detailedStatus": None,
            "description": None,
            "to": "+306912345678",
            "price": "0.035",
            "changed": False,
            "reason": "filled",
            "messageStatus": "SEEN",
        },
    }
    replied = items[1]
    assert replied["type"] == "message.inbound"
    assert replied["campaignTrackingId"] == "campaign"
    assert replied["data"]["message"] == "thanks"
    one = await caller.client.get(f"/v1/inbound-messages/{replied['id']}")
    assert replied["data"] == one.json()


async def test_the_next_cursor_is_always_there_and_leads_on(caller: Caller) -> None:
    empty = await caller.page()
    assert empty["items"] == []
    assert await caller.page(after=empty["nextCursor"]) == empty
    await caller.post(callback("m1").body)
    page = await caller.page(after=empty["nextCursor"])
    assert _summary(page["items"]) == ["m1 DELIVERED"]
    end = await caller.page(after=page["nextCursor"])
    assert end == {"items": [], "nextCursor": page["nextCursor"]}
    replies = await caller.page(type="message.inbound")
    assert replies == end


async def test_cloud_events_are_followed_by_their_links_and_are_the_same_items(
    caller: Caller,
) -> None:
    await caller.post(*(callback(f"m{at}").body for at in range(5)), reply("m1", "a & b=c").body)
    wanted = {"type": "message.status", "campaignTrackingId": "campaign", "limit": "2"}
    usual = await caller.all(**wanted)
    accept = {"Accept": "application/cloudevents-batch+json"}
    items: list[dict[str, Any]] = []
    address = caller.client.base_url.join("/v1/events").copy_merge_params(wanted)
    while True:
        answer = await caller.client.get(address, headers=accept)
        assert answer.headers["Content-Type"] == "application/cloudevents-batch+json"
        assert "Accept" in answer.headers["Vary"].split(", ")
        if not answer.json():
            break
        items += [event["data"] for event in answer.json()]
        assert answer.links["next"]["rel"] == "next"
        address = answer.url.join(answer.links["next"]["url"])
        assert wanted.items() <= dict(address.params).items()
    assert items == usual
    assert len(items) == 5


async def test_readers_that_wait_get_each_their_own_form(caller: Caller) -> None:
    after = (await caller.page(after="now"))["nextCursor"]
    accept = {"Accept": "application/cloudevents-batch+json"}
    query = {"after": after, "wait": 25}
    waiting = [
        asyncio.create_task(caller.client.get("/v1/events", params=query, headers=headers))
        for headers in (accept, {}, accept, {})
    ]
    await _waiting(caller, 4)
    await caller.post(callback("m").body)
    bodies = [(await asyncio.wait_for(one, 20)).json() for one in waiting]
    assert [isinstance(body, list) for body in bodies] == [True, False, True, False]


async def test_now_begins_after_all_that_is_there(caller: Caller) -> None:
    await caller.post(callback("m1").body)
    page = await caller.page(after="now")
    assert page["items"] == []
    await caller.post(callback("m2").body)
    assert _summary((await caller.page(after=page["nextCursor"]))["items"]) == ["m2 DELIVERED"]


# A plus that was not encoded arrives as a blank.
@pytest.mark.parametrize("offset", ["Z", "+00:00", " 00:00"])
async def test_an_instant_begins_with_what_was_received_then(caller: Caller, offset: str) -> None:
    await caller.post(callback("m1").body)
    received = (await caller.all())[0]["receivedAt"]
    assert _summary(await caller.all(received.replace("Z", offset))) == ["m1 DELIVERED"]
    later = datetime.fromisoformat(received) + timedelta(minutes=2)
    assert await caller.all(later.isoformat()) == []


async def test_one_kind_and_one_campaign_can_be_asked_for(
    caller: Caller, connection: asyncpg.Connection
) -> None:
    await caller.post(
        callback("m1", campaign="wanted").body,
        callback("m2", campaign="other").body,
        reply("m1", "yes").body,
        reply("m2", "no").body,
    )
    ours = await connection.fetchval("SELECT id FROM campaigns WHERE tracking_id = 'wanted'")
    for campaign in ("wanted", str(ours)):
        assert _summary(await caller.all(campaignTrackingId=campaign)) == [
            "m1 DELIVERED",
            "m1 reply",
        ]
    assert _summary(await caller.all(type="message.inbound")) == ["m1 reply", "m2 reply"]
    both = await caller.all(type="message.status", campaignTrackingId="wanted")
    assert _summary(both) == ["m1 DELIVERED"]
    several = {"campaignTrackingId": ["wanted", "other"]}
    every = await caller.page(type="message.inbound", **several)
    assert _summary(every["items"]) == ["m1 reply", "m2 reply"]
    every = await caller.page(type=["message.inbound", "message.status"])
    assert _summary(every["items"]) == _summary(await caller.all())


async def test_an_unknown_campaign_is_told_apart_from_one_without_items(
    caller: Caller, connection: asyncpg.Connection
) -> None:
    ours = await connection.fetchval(
        "INSERT INTO campaigns (submission, name) VALUES ('unconfirmed', 'silent') RETURNING id"
    )
    empty = await caller.page(campaignTrackingId=str(ours))
    assert empty == {"items": [], "nextCursor": (await caller.page())["nextCursor"]}
    unknown = await caller.get(campaignTrackingId="unknown")
    assert unknown.status_code == 404
    assert unknown.json()["type"] == "urn:routee-receiver:problem:not-found"
    assert "'unknown'" in unknown.json()["detail"]
    assert (await caller.get(campaignTrackingId=[str(ours), "unknown"])).status_code == 404
    await caller.post(callback("m1", campaign="unknown").body)
    assert _summary((await caller.page(campaignTrackingId="unknown"))["items"]) == ["m1 DELIVERED"]


@pytest.mark.parametrize(
    "after", ["", "nonsense", "f1-1-2-3-00000000", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"]
)
async def test_an_invalid_cursor_is_refused(caller: Caller, after: str) -> None:
    answer = await caller.get(after=after)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:routee-receiver:problem:invalid-cursor"


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 1001},
        {"wait": 31},
        {"wait": -1},
        {"wait": "nan"},
        {"type": "message"},
        {"campaignTrackingId": "\0"},
        {"after": "x" * 101},
    ],
)
async def test_a_parameter_out_of_bounds_is_refused(caller: Caller, wrong: dict[str, Any]) -> None:
    assert (await caller.get(**wrong)).status_code == 422


async def test_without_a_key_there_is_no_feed(caller: Caller) -> None:
    answer = await caller.client.get("/v1/events", headers={"Authorization": ""})
    assert answer.status_code == 401


async def test_a_cursor_below_the_floor_is_gone_and_the_answer_says_how_to_go_on(
    caller: Caller, url: str, connection: asyncpg.Connection
) -> None:
    await caller.post(*(callback(f"m{at}").body for at in range(4)))
    first = await caller.page(limit=1)
    third = decode_position((await caller.page(limit=3))["nextCursor"])
    await connection.execute("DELETE FROM events WHERE id <= $1", third.id)
    database = Database(url, name="tests", pool_items=1)
    async with database.writing() as session:
        await raise_floor(session, Position(*third))
    await database.close()
    answer = await caller.get(after=first["nextCursor"], wait=5)
    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:routee-receiver:problem:cursor-expired"
    assert "after=<instant>" in answer.json()["detail"]
    for after in (first["items"][0]["receivedAt"], "beginning"):
        assert _summary(await caller.all(after)) == ["m3 DELIVERED"]


async def test_a_client_that_waits_is_answered_when_an_item_comes(caller: Caller) -> None:
    page = await caller.page(after="now")
    waiting = asyncio.create_task(caller.page(after=page["nextCursor"], wait=25))
    await _waiting(caller, 1)
    await caller.post(callback("m").body)
    came = await asyncio.wait_for(waiting, 20)
    assert _summary(came["items"]) == ["m DELIVERED"]


async def _waiting(caller: Caller, clients: int) -> None:
    async def _are() -> bool:
        return await caller.metric("receiver_feed_waiting") == clients

    await eventually(_are)


async def test_a_client_that_hangs_up_is_released(caller: Caller) -> None:
    waiting = asyncio.create_task(caller.page(wait=30))
    await _waiting(caller, 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await _waiting(caller, 0)


async def _read_by_itself(caller: Caller, after: str) -> list[dict[str, Any]]:
    """One reader with a connection of its own: a pool of 500 is what would be measured else."""
    address = caller.client.base_url
    incoming, outgoing = await asyncio.open_connection(address.host, address.port)
    request = (
        f"GET /v1/events?after={after}&wait=30 HTTP/1.1\r\nHost: {address.host}\r\n"
        f"Authorization: {caller.client.headers['Authorization']}\r\nConnection: close\r\n\r\n"
    )
    outgoing.write(request.encode())
    answer = await incoming.read()
    outgoing.close()
    await outgoing.wait_closed()
    items: list[dict[str, Any]] = json.loads(answer.partition(b"\r\n\r\n")[2])["items"]
    return items


async def test_500_readers_wait_while_callbacks_come_in(
    caller: Caller, connection: asyncpg.Connection
) -> None:
    after = (await caller.page(after="now"))["nextCursor"]
    readers = [asyncio.create_task(_read_by_itself(caller, after)) for _ in range(500)]
    await _waiting(caller, 500)
    await caller.post(*(callback(f"m{at}").body for at in range(5)))
    pages = await asyncio.wait_for(asyncio.gather(*readers), 20)
    assert all("m0 DELIVERED" in _summary(page) for page in pages)
    opened = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'routee-receiver%'"
    )
    assert opened <= 6 + 8 + 1  # the pools of feed and API, and the session of the callbacks


async def test_the_query_of_the_feed_page_continues_from_the_same_cursor(
    caller: Caller, connection: asyncpg.Connection
) -> None:
    await caller.post(*(callback(f"m{at}").body for at in range(5)))
    cursor = (await caller.page(limit=2))["nextCursor"]
    query = re.search(r"```sql\n(-- The feed.*?)```", FEED_PAGE.read_text(), re.DOTALL)
    assert query is not None
    rows = await connection.fetch(query[1].replace(":'cursor'", f"'{cursor}'"))
    rest = await caller.all(cursor)
    assert [str(row["id"]) for row in rows] == [item["id"] for item in rest]
    assert len(rows) == 3


async def test_how_long_a_transaction_holds_the_feed_back_is_a_metric(
    caller: Caller, connection: asyncpg.Connection
) -> None:
    async def _is_held_up() -> bool:
        return await caller.metric("receiver_feed_held_back_seconds") > 0

    async with connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        await caller.post(callback("m").body)
        assert await caller.all() == []
        await eventually(_is_held_up, within_seconds=10)
    assert _summary(await caller.all()) == ["m DELIVERED"]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_waiting_clients_do_not_delay_the_shutdown(
    url: str, tmp_path: Path, workers: int
) -> None:
    service = Service(url, tmp_path, workers=workers)
    try:
        await service.start()
        async with _calling(service.url, url) as caller:
            readers = [asyncio.create_task(caller.page(wait=30)) for _ in range(10)]
            await asyncio.sleep(1)
            code, seconds = await service.end()
            pages = await asyncio.gather(*readers)
        assert code == 0
        assert seconds < 12
        assert [page["items"] for page in pages] == [[]] * 10
    finally:
        service.kill()
