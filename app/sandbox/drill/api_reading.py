"""What the API and the exports show at the end."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from app.db.drill.reading import MessageState

_PAGE_ITEMS: Final = 1000
_TIMEOUT_SECONDS: Final = 120.0
_FIELDS: Final = "trackingId,status,statusAt"


@dataclass(frozen=True, slots=True)
class ApiView:
    """Messages by their ids, and the ids of replies, as the API lists and exports them."""

    listed_messages: Mapping[str, MessageState]
    listed_replies: list[str]
    exported_messages: Mapping[str, MessageState]
    exported_events: list[str]
    exported_replies: list[str]


async def read_api(url: str, key: str) -> ApiView:
    """
    Read everything from the service at *url*.

    Raises:
        httpx.HTTPError: it refused, or did not answer.
    """
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        return ApiView(
            listed_messages={
                item["trackingId"]: _state(item)
                async for item in _listed(client, "/v1/messages", fields=_FIELDS)
            },
            listed_replies=[
                str(item["id"]) async for item in _listed(client, "/v1/inbound-messages")
            ],
            exported_messages={
                item["trackingId"]: _state(item) async for item in _exported(client, "messages")
            },
            exported_events=[str(item["id"]) async for item in _exported(client, "events")],
            exported_replies=[
                str(item["id"]) async for item in _exported(client, "inbound-messages")
            ],
        )


def _state(item: Mapping[str, Any]) -> MessageState:
    at = item["statusAt"]
    return MessageState(item["status"], None if at is None else datetime.fromisoformat(at))


async def _listed(
    client: httpx.AsyncClient, path: str, **parameters: str
) -> AsyncIterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(path, params={"limit": _PAGE_ITEMS, **parameters, **cursor})
        answer.raise_for_status()
        page = answer.json()
        for item in page["items"]:
            yield item
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


async def _exported(client: httpx.AsyncClient, table: str) -> AsyncIterator[dict[str, Any]]:
    async with client.stream("GET", f"/v1/exports/{table}", params={"format": "ndjson"}) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            yield json.loads(line)
