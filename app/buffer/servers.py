"""The only file that knows how a NATS server says whether it writes to the disk at once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import httpx

from app.buffer.stream import MESSAGE_BYTES, REPLICAS

_TIMEOUT_SECONDS: Final = 2.0
_MAX_BYTES: Final = 1024 * 1024

#: The names of servers, and what is objected to each; empty if it is durable.
Verdicts = Mapping[str, Sequence[str]]


async def read_servers(monitor_urls: Iterable[str]) -> Verdicts:
    """What is objected to each server whose monitoring answers; the others are left out."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        answers = await asyncio.gather(*(_varz(client, url) for url in monitor_urls))
    return {answer["server_name"]: _objections(answer) for answer in answers if answer}


async def _varz(client: httpx.AsyncClient, url: str) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            answer = await client.get(f"{url}/varz")
        varz = answer.raise_for_status().json()
    except (httpx.HTTPError, TimeoutError, ValueError):
        return None
    return varz if isinstance(varz, dict) and "server_name" in varz else None


def _objections(varz: Mapping[str, Any]) -> list[str]:
    name, config = varz["server_name"], varz.get("jetstream", {}).get("config", {})
    found = []
    if not config.get("sync_always"):
        found.append(
            f"the server {name} acknowledges before the disk has a batch: set `sync_interval: "
            "always` in the `jetstream` block of its configuration"
        )
    if varz.get("max_payload", 0) < MESSAGE_BYTES:
        found.append(f"max_payload of the server {name} must be at least {MESSAGE_BYTES}")
    return found


def objections_to_servers(online: Mapping[str, bool], verdicts: Verdicts) -> list[str]:
    """
    Why the servers that hold the stream must not be relied on.

    One that is *online* has to be verified. Of those that are not, so many may be unknown that a
    majority is verified: they acknowledge nothing now.
    """
    found = [reason for name in online for reason in verdicts.get(name, ())]
    found += [
        f"no monitoring URL answers for the server {name}, so its `sync_interval` is unknown: set "
        "`http: …:8222` in its configuration, and name it in RECEIVER_BUFFER_MONITOR_URLS"
        for name, is_online in online.items()
        if is_online and name not in verdicts
    ]
    verified = sum(name in verdicts for name in online)
    if not found and verified < REPLICAS // 2 + 1:
        found.append(f"only {verified} of the stream's {len(online)} servers could be verified")
    return found
