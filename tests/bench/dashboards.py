"""
Dashboards that are open in browsers, many in one process.

`python -m tests.bench.dashboards PORT COOKIES PATH…` opens each PATH once, one after another, and
then asks for its live region as `live.js` does: with the tag of the last one, and after a pause
that follows from what the server says that the answer has cost. For each line of standard input it
prints what has come as one line of JSON; when standard input ends, so does it.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NamedTuple

import uvloop

#: These three as in `live.js`.
MIN_PAUSE_SECONDS: Final = 1.0
MAX_PAUSE_SECONDS: Final = 60.0
PAUSES_PER_COST: Final = 500
#: Between two that are opened: people do not come all at once.
_APART_SECONDS: Final = 0.25
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_TAG: Final = re.compile(rb"\r\netag: ([^\r]+)\r\n", re.IGNORECASE)
_COST: Final = re.compile(rb"\r\nserver-timing:[^\r]*dur=([0-9.]+)", re.IGNORECASE)
_LIVE: Final = b'<div id="live" data-live'


@dataclass
class Received:
    """What the dashboards have received."""

    #: Answers to requests for live regions, by status.
    regions: Counter[int] = field(default_factory=Counter)
    #: How many dashboards have been opened, and how many have a region that is live.
    opened: int = 0
    live: int = 0
    #: What the server said that all regions have cost.
    cost_ms: float = 0.0
    #: Broken connections; each ends its dashboard.
    failures: list[str] = field(default_factory=list)


class Answer(NamedTuple):
    """What a dashboard needs of an answer."""

    status: int
    #: What it cost the server; None if that is not said.
    cost_ms: float | None
    tag: str
    body: bytes


def pause_seconds(cost_ms: float | None) -> float:
    """For how long a dashboard waits after an answer."""
    if cost_ms is None:
        return MAX_PAUSE_SECONDS
    return min(max(cost_ms * PAUSES_PER_COST / 1000, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)


class Dashboard:
    """One of them, at *path*."""

    def __init__(self, port: int, cookies: str, path: str, received: Received) -> None:
        self._port = port
        self._head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookies}\r\n"
            "Accept: text/html\r\nSec-Fetch-Site: same-origin\r\n"
        )
        self._received = received

    async def stay_open(self, *, after_seconds: float) -> None:
        """Open the page, and keep it up to date until it says that it changes no more."""
        await asyncio.sleep(after_seconds)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            pause, tag = await self._open(reader, writer), ""
            while pause is not None:
                await asyncio.sleep(pause)
                pause, tag = await self._refresh(reader, writer, tag)
        except (OSError, EOFError, RuntimeError) as error:
            self._received.failures.append(f"{type(error).__name__}: {error}"[:200])

    async def _open(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> float | None:
        answer = await self._asked(reader, writer, "")
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"a page was answered {answer.status}")
        is_live = _LIVE in answer.body
        self._received.opened += 1
        self._received.live += is_live
        return MIN_PAUSE_SECONDS if is_live else None

    async def _refresh(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tag: str
    ) -> tuple[float | None, str]:
        known = f"If-None-Match: {tag}\r\n" if tag else ""
        answer = await self._asked(reader, writer, f"X-Fragment: live\r\n{known}")
        self._received.regions[answer.status] += 1
        self._received.cost_ms += answer.cost_ms or 0.0
        pause = pause_seconds(answer.cost_ms)
        if answer.status != HTTPStatus.OK:
            return pause, tag
        return (pause if _LIVE in answer.body else None), answer.tag

    async def _asked(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: str
    ) -> Answer:
        writer.write(f"{self._head}{headers}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        cost, tag = _COST.search(head), _TAG.search(head)
        return Answer(
            int(head.split(b" ", 2)[1]),
            float(cost[1]) if cost else None,
            tag[1].decode() if tag else "",
            body,
        )


async def _stay_open(port: int, cookies: str, paths: list[str]) -> None:
    received = Received()
    dashboards = [Dashboard(port, cookies, path, received) for path in paths]
    tasks = [
        asyncio.create_task(dashboard.stay_open(after_seconds=number * _APART_SECONDS))
        for number, dashboard in enumerate(dashboards)
    ]
    while await asyncio.to_thread(sys.stdin.readline):
        sys.stdout.write(json.dumps(vars(received)) + "\n")
        sys.stdout.flush()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(_stay_open(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
