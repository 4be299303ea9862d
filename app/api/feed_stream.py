"""The feed as a stream of server-sent events (HTML, section 9.2)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

from app.api.negotiation import qualities
from app.api.parts import unless_gone
from app.db.feed.pages import FeedFilter
from app.domain.feed import Position
from app.errors import ReceiverError
from app.services.feed.pages import Feed, FeedForm, ServedPage

log = structlog.get_logger()

MEDIA_TYPE: Final = "text/event-stream"
#: After which time without an item a comment is sent, so that no proxy hangs up. So often
#: the key is verified as well.
HEARTBEAT_SECONDS: Final = 15.0
#: How long a stream lasts. Its client then goes on, perhaps at another process.
MAX_STREAM_SECONDS: Final = 300.0
#: A client that reads nothing for so long loses its place.
_SEND_SECONDS: Final = 60.0
#: A comment. Without an empty line after it no client takes it for an event.
_HEARTBEAT: Final = b": nothing new\n"
#: The last words of a stream: after how many milliseconds its client may come again.
_END: Final = b"retry: 1000\n\n"


def wants_stream(accept: str) -> bool:
    """
    Whether a request with that header would rather have a stream than a page.

    Generated clients accept all that the document names, with equal quality, and read pages.
    """
    accepted = qualities(accept)
    return accepted.get(MEDIA_TYPE, 0) > accepted.get("application/json", 0)


class FeedStream(Response):
    """
    The pages of *feed* beyond *after* as they come, the *first* one at once.

    A stream ends when its client or its time is gone, when the process ends, when a page cannot be
    read, and when *verify* fails, which is called before each page. Its client comes again with the
    last cursor that it has got. As long as it lasts it holds a place among the clients that wait.
    """

    def __init__(  # noqa: PLR0913 (what a stream is made of)
        self,
        feed: Feed,
        wanted: FeedFilter,
        first: ServedPage,
        *,
        after: Position,
        limit: int,
        form: FeedForm,
        verify: Callable[[], Awaitable[object]],
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        stream_seconds: float = MAX_STREAM_SECONDS,
    ) -> None:
        # Proxies that collect an answer before they pass it on are asked not to.
        super().__init__(headers={"X-Accel-Buffering": "no", "Vary": "Accept"})
        del self.headers["content-length"]
        self.headers["Content-Type"] = MEDIA_TYPE
        self._feed = feed
        self._first = first
        self._after = after
        self._next = partial(feed.page, wanted, limit=limit, form=form)
        self._verify = verify
        self._heartbeat_seconds = heartbeat_seconds
        self._stream_seconds = stream_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; if the client closes the connection, it ends."""
        del scope
        with self._feed.place():
            await unless_gone(receive, self._sent(send))

    async def _sent(self, send: Send) -> None:
        headers = self.raw_headers
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                await self._pages(send)
            except ReceiverError as error:
                log.debug("a stream of the feed ends", error=str(error))
            await _send(send, _END, more=False)
        except TimeoutError:
            # Without the last chunk the server closes the connection.
            log.debug("a client reads nothing of its stream of the feed")

    async def _pages(self, send: Send) -> None:
        until = time.monotonic() + self._stream_seconds
        page = self._first
        while True:
            is_idle = page.is_empty and page.end == self._after
            await _send(send, _HEARTBEAT if is_idle else page.body)
            self._after = page.end
            left = until - time.monotonic()
            if left <= 0 or self._feed.is_closed:
                return
            await self._verify()
            wait_seconds = min(left, self._heartbeat_seconds)
            page = await self._next(after=self._after, wait_seconds=wait_seconds)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})
