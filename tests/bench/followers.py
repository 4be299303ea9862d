"""
Backends that follow the feed by long polling, many in one process.

`python -m tests.bench.followers PORT KEY CLIENTS` asks `GET /v1/events?after=now&wait=30` over
CLIENTS connections. Each goes on with `nextCursor` at once, for ever, as a backend does that wants
to miss nothing. For each line of standard input it prints what has come as one line of JSON; when
standard input ends, so does it.
"""

import asyncio
import json
import re
import sys
from dataclasses import asdict, dataclass, field
from typing import Final

import uvloop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_CURSOR: Final = re.compile(rb'"nextCursor":"([^"]+)"')
_ITEM: Final = b'"receivedAt":'
_CONNECTED_AT_ONCE: Final = 50


@dataclass
class Received:
    """What the clients have received."""

    #: Pages with items.
    pages: int = 0
    items: int = 0
    #: Pages without any.
    empty_pages: int = 0
    #: Clients that received something.
    woken: int = 0
    #: Answers other than 200 and broken connections; each ends its client.
    failures: list[str] = field(default_factory=list)


class _Client:
    def __init__(self, port: int, key: str, received: Received) -> None:
        self._port = port
        self._headers = f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._received = received
        self._is_woken = False

    async def follow(self, gate: asyncio.Semaphore) -> None:
        try:
            async with gate:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                cursor = await self._asked(reader, writer, "now", wait_seconds=0)
            while True:
                cursor = await self._asked(reader, writer, cursor, wait_seconds=30)
        except (OSError, EOFError, RuntimeError) as error:
            self._received.failures.append(f"{type(error).__name__}: {error}"[:200])

    async def _asked(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cursor: str,
        *,
        wait_seconds: int,
    ) -> str:
        line = f"GET /v1/events?after={cursor}&wait={wait_seconds} HTTP/1.1\r\n"
        writer.write((line + self._headers).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        found = _CURSOR.search(body, max(0, len(body) - 200))
        if not head.startswith(b"HTTP/1.1 200") or found is None:
            raise RuntimeError(head.decode(errors="replace").partition("\r\n")[0])
        if wait_seconds:
            self._count(body.count(_ITEM))
        return found[1].decode()

    def _count(self, items: int) -> None:
        if not items:
            self._received.empty_pages += 1
            return
        self._received.pages += 1
        self._received.items += items
        self._received.woken += not self._is_woken
        self._is_woken = True


async def _follow(port: int, key: str, clients: int) -> None:
    received, gate = Received(), asyncio.Semaphore(_CONNECTED_AT_ONCE)
    following = [
        asyncio.create_task(_Client(port, key, received).follow(gate)) for _ in range(clients)
    ]
    while await asyncio.to_thread(sys.stdin.readline):
        sys.stdout.write(json.dumps(asdict(received)) + "\n")
        sys.stdout.flush()
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(_follow(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
