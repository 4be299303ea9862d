"""The client and the simulated Routee, held to one document of Routee."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.types import Receive, Scope, Send

from app.errors import RouteeError
from app.routee.client import RouteeClient
from app.routee.repeats import Repeats
from app.routee.rules import sendable
from app.sandbox.behaviour import Behaviour
from app.sandbox.routee import SimulatedRoutee
from tests.openapi.contract import Contract
from tests.openapi.documents import routee as routee_document
from tests.openapi.recording import Recorder
from tests.openapi.validation import faults
from tests.sandbox.stage import (
    APPLICATION_ID,
    APPLICATION_SECRET,
    FAST,
    Receiver,
    expire_token,
    served,
)

DOCUMENT = routee_document()
CONTRACT = Contract(DOCUMENT)
#: One request for each layout, and the other members.
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"body": {"text": "Hi [~name]", "fallbackValues": {"name": "friend"}}},
    "image": {"body": {"imageURL": "https://media.example/image.png"}},
    "action": {
        "body": {"text": "Hi", "action": {"caption": "Go", "targetUrl": "https://x.example/"}}
    },
    "file": {
        "body": {
            "viberFile": {
                "fileName": "a.pdf",
                "fileType": "pdf",
                "fileUrl": "https://media.example/a.pdf",
            }
        }
    },
    "video": {
        "body": {
            "text": "Look",
            "viberVideo": {
                "videoUrl": "https://media.example/v.mp4",
                "videoThumbnail": "https://media.example/v.jpg",
                "fileSize": Decimal("12.5"),
                "duration": 40,
            },
        }
    },
    "all members": {
        "body": {"text": "Hi", "imageURL": None},
        "ttl": 300,
        "label": "spring",
        "groups": ["customers"],
        "isSessionMessage": False,
    },
}


@dataclass
class Stage:
    client: RouteeClient
    routee: SimulatedRoutee
    recorder: Recorder
    receiver: Receiver
    origin: str

    def request(self, kind: str = "text", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        asked = {"senderInfoTrackingId": "a-sender", "to": ["+306900000000", "+306900000001"]}
        return sendable(
            asked | REQUESTS[kind] | changes,
            name=f"{kind} {len(self.recorder.exchanges)}",
            callback_url=f"{self.origin}/status",
            inbound_url=f"{self.origin}/inbound",
        )

    async def launched(self, kind: str = "text", **changes: Any) -> str:  # noqa: ANN401
        answer = await self.client.launch_campaign(self.request(kind, **changes))
        assert answer.tracking_id is not None
        return answer.tracking_id

    def assert_all_as_documented(self, *operations: str) -> None:
        found = {}
        for exchange in self.recorder.exchanges:
            if wrong := CONTRACT.faults(exchange):
                found[f"{exchange.method} {exchange.path} {exchange.status}"] = wrong
        assert found == {}
        assert {*operations} <= {CONTRACT.operation_id(one) for one in self.recorder.exchanges}


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    routee = SimulatedRoutee(
        behaviour=Behaviour(**FAST),
        application_id=APPLICATION_ID,
        application_secret=APPLICATION_SECRET,
    )
    recorder, receiver = Recorder(routee.app), Receiver()

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        is_callback = scope["type"] == "http" and scope["path"] in {"/status", "/inbound"}
        await (receiver if is_callback else recorder)(scope, receive, send)

    async with (
        served(both) as origin,
        RouteeClient(
            api_url=origin,
            auth_url=origin,
            application_id=APPLICATION_ID,
            application_secret=APPLICATION_SECRET,
            repeats=Repeats(first_pause_seconds=0.001, jitter_seconds=0.001),
        ) as client,
    ):
        yield Stage(client, routee, recorder, receiver, origin)
        await routee.aclose()


def test_the_document_has_good_schemas_and_examples() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", ()):
            assert faults(DOCUMENT, {"$ref": f"#/components/schemas/{name}"}, example) == []


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_launch_is_as_documented_on_both_sides(kind: str) -> None:
    async with staged() as stage:
        await stage.launched(kind)
        stage.assert_all_as_documented("getToken", "sendCampaign")


async def test_tracking_is_as_documented_on_both_sides() -> None:
    async with staged() as stage:
        numbers = [f"+3069{number:08d}" for number in range(7)]
        campaign_id = await stage.launched(to=numbers)
        pages = [
            await stage.client.track_page(campaign_id, number=number, page_size=3)
            for number in range(3)
        ]
        items = [item for page in pages for item in page["content"]]
        assert len(items) == 7
        await stage.client.track_message(items[0]["trackingId"])
        stage.assert_all_as_documented("trackCampaign", "trackMessage")


async def test_a_deletion_is_as_documented_on_both_sides() -> None:
    async with staged() as stage:
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await stage.client.delete_campaign(await stage.launched(scheduledDate=later))
        stage.assert_all_as_documented("deleteCampaign")


async def test_refusals_are_as_documented() -> None:
    async with staged() as stage:
        sent = await stage.launched()
        name = stage.routee.campaigns[sent].request.name
        for asking in (
            stage.client.launch_campaign(stage.request() | {"campaignName": name}),
            stage.client.delete_campaign(sent),
            stage.client.delete_campaign("nothing"),
            stage.client.track_message("nothing"),
            stage.client.track_page("nothing", number=0),
        ):
            with pytest.raises(RouteeError):
                await asking
        stage.routee.account.balance = Decimal(0)
        with pytest.raises(RouteeError):
            await stage.launched()
        stage.routee.account.is_viber_activated = False
        with pytest.raises(RouteeError):
            await stage.launched()
        stage.assert_all_as_documented()
        statuses = {exchange.status for exchange in stage.recorder.exchanges}
        assert {200, 400, 403, 404, 409} <= statuses


async def test_refused_tokens_are_as_documented() -> None:
    async with staged() as stage:
        await stage.launched()
        expire_token(stage.routee)
        await stage.launched()
        stage.assert_all_as_documented()
        assert 401 in {exchange.status for exchange in stage.recorder.exchanges}
        async with httpx.AsyncClient(base_url=stage.origin, trust_env=False) as stranger:
            form = {"grant_type": "client_credentials"}
            await stranger.post("/oauth/token", data=form, auth=("nobody", "nothing"))
        assert stage.recorder.exchanges[-1].status == 401
        stage.assert_all_as_documented()


async def test_callbacks_are_as_documented() -> None:
    async with staged() as stage:
        await stage.launched(to=[f"+3069{number:08d}" for number in range(60)])
        async with asyncio.timeout(10):
            await stage.routee.drained()
        assert stage.receiver.statuses
        assert stage.receiver.inbound
        for received in stage.receiver.received:
            webhook = "inbound" if received.path == "/inbound" else "progress"
            media = DOCUMENT["webhooks"][webhook]["post"]["requestBody"]["content"]
            schema = media[received.content_type]["schema"]
            assert faults(DOCUMENT, schema, received.document) == []


async def test_the_judgement_notices_what_is_not_documented() -> None:
    async with staged() as stage:
        await stage.launched()
        exchange = stage.recorder.exchanges[-1]

    def judged(**changes: Any) -> list[str]:  # noqa: ANN401
        return CONTRACT.faults(replace(exchange, **changes))

    request, answer = json.loads(exchange.body), json.loads(exchange.answer)
    assert judged() == []
    assert judged(method="PUT")
    assert judged(query="page=0")
    assert judged(headers={})
    assert judged(body=json.dumps(request | {"stranger": 1}).encode())
    assert judged(body=json.dumps(request | {"to": ["306900000000"]}).encode())
    assert judged(answer=json.dumps(answer | {"trackingId": 7}).encode())
    assert judged(status=302)
    assert judged(status=400)
