"""Compares the data of the service with the ledger of the simulated Routee."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.sandbox.demo_stack import Backend
from app.sandbox.ledger import EventKey, InboundKey, SimulatedCampaign

#: The number of histories that are requested concurrently.
_CONCURRENT_REQUESTS: Final = 8
_SHOWN_DIFFERENCES: Final = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """The service's data about one campaign, and its differences from what was sent."""

    campaign: dict[str, Any]
    messages: list[dict[str, Any]]
    histories: dict[str, list[dict[str, Any]]]
    replies: list[dict[str, Any]]
    differences: tuple[str, ...]

    @property
    def events(self) -> int:
        """The number of distinct events."""
        return sum(map(len, self.histories.values()))


async def compare(backend: Backend, sent: SimulatedCampaign) -> Comparison:
    """Read everything that the service has about *sent*, and compare."""
    path = f"/v1/campaigns/{sent.tracking_id}"
    campaign = await backend.get(path)
    listed = await backend.all_items(f"{path}/messages")
    messages = [message for message in listed if message["trackingId"] is not None]
    histories = await _histories(backend, [message["trackingId"] for message in messages])
    replies = await backend.all_items("/v1/inbound-messages", campaignTrackingId=sent.tracking_id)
    statuses = {message["trackingId"]: message["status"] for message in messages}
    differences = (
        *_differences("status", sent.expected_statuses.items(), statuses.items()),
        *_differences("event", sent.expected_events, _events(histories)),
        *_differences("reply", sent.expected_inbound, _replies(replies)),
        *_differences("count", Counter(statuses.values()).items(), _shown(campaign["counts"])),
    )
    return Comparison(campaign, messages, histories, replies, differences)


async def _histories(backend: Backend, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    limit = asyncio.Semaphore(_CONCURRENT_REQUESTS)

    async def _history(message_id: str) -> list[dict[str, Any]]:
        async with limit:
            return await backend.all_items(f"/v1/messages/{message_id}/events")

    return dict(zip(ids, await asyncio.gather(*map(_history, ids)), strict=True))


def _events(histories: dict[str, list[dict[str, Any]]]) -> list[EventKey]:
    return [
        EventKey(message_id, event["status"], datetime.fromisoformat(event["occurredAt"]))
        for message_id, events in histories.items()
        for event in events
    ]


def _replies(replies: list[dict[str, Any]]) -> list[InboundKey]:
    return [
        InboundKey(
            reply["referenceTrackingId"], datetime.fromisoformat(reply["sentAt"]), reply["message"]
        )
        for reply in replies
    ]


def _shown(counts: dict[str, int]) -> list[tuple[str, int]]:
    return [(status, count) for status, count in counts.items() if count]


def _differences(kind: str, sent: Iterable[object], held: Iterable[object]) -> list[str]:
    expected, found = list(sent), list(held)
    missing = [f"{kind} missing: {item}" for item in set(expected) - set(found)]
    unexpected = [f"{kind} not sent: {item}" for item in set(found) - set(expected)]
    doubled = len(found) - len(set(found))
    duplicates = [f"{kind}s held twice: {doubled}"] if doubled else []
    return missing[:_SHOWN_DIFFERENCES] + unexpected[:_SHOWN_DIFFERENCES] + duplicates
