"""Readers of the feed: one that follows it during the run, and one that begins at the end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from app.domain.feed import FeedItemType

_PAGE_ITEMS: Final = 1000
_WAIT_SECONDS: Final = 2
_TIMEOUT_SECONDS: Final = 10.0
_AFTER_FAILURE_SECONDS: Final = 0.2
#: Those that callbacks lead to.
_TYPES: Final = (FeedItemType.STATUS.value, FeedItemType.INBOUND.value)


@dataclass(slots=True)
class FeedReading:
    """What a reader got: the type and the id of each item, in the order in which they came."""

    items: list[tuple[str, str]] = field(default_factory=list)
    #: The status of each message as its last item has it.
    statuses: dict[str, str] = field(default_factory=dict)
    cursor: str = "beginning"
    #: How many reads failed, and were repeated from the same cursor.
    failures: int = 0

    def add(self, page: dict[str, Any]) -> None:
        """Take what *page* has, and go on behind it."""
        for item in page["items"]:
            self.items.append((item["type"], str(item["id"])))
            data = item["data"]
            if item["type"] == FeedItemType.STATUS and data["changed"]:
                self.statuses[item["trackingId"]] = data["status"]
        self.cursor = page["nextCursor"]


class FeedFollower:
    """
    Reads the feed while it grows, from any of some addresses, and repeats what fails.

    Args:
        urls: Gives the addresses of the API; the next one is asked after a failure.
        key: The API key.
    """

    def __init__(self, urls: Callable[[], list[str]], key: str) -> None:
        self.reading = FeedReading()
        self._urls = urls
        self.key = key
        self._headers = {"Authorization": f"Bearer {key}"}

    async def follow(self) -> None:
        """Follow the feed until the task is cancelled."""
        async with self._client() as client:
            while True:
                await self._read(client, self.reading, wait=_WAIT_SECONDS)

    async def read_all(self) -> FeedReading:
        """The feed from its beginning to what can be served now."""
        reading = FeedReading()
        async with self._client() as client:
            while await self._read(client, reading, wait=0):
                pass
        return reading

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=self._headers, timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def _read(self, client: httpx.AsyncClient, reading: FeedReading, *, wait: int) -> bool:
        """Read one page; False if it was empty."""
        urls = self._urls()
        url = urls[reading.failures % len(urls)]
        parameters: dict[str, str | int | list[str]] = {
            "after": reading.cursor,
            "limit": _PAGE_ITEMS,
            "type": list(_TYPES),
            "wait": wait,
        }
        try:
            answer = await client.get(f"{url}/v1/events", params=parameters)
            answer.raise_for_status()
            page: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError):
            reading.failures += 1
            await asyncio.sleep(_AFTER_FAILURE_SECONDS)
            return True
        reading.add(page)
        return bool(page["items"])
