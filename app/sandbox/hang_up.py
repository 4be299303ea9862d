"""The only file of the simulator that knows uvicorn: it closes a connection unanswered."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class HangUp(Response):
    """
    No answer: not a byte is sent, and the connection is closed.

    ASGI has no word for it. Under uvicorn `receive` is a method of the request's cycle, which has
    the transport; nothing may be wrapped around `receive` on the way here.

    Raises:
        RuntimeError: when called, if the server is not uvicorn.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Close the connection, and return once uvicorn knows, so that it misses no answer."""
        _transport_of(receive).abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _transport_of(receive: Receive) -> asyncio.Transport:
    cycle = getattr(receive, "__self__", None)
    transport: asyncio.Transport | None = getattr(cycle, "transport", None)
    if transport is None:
        raise RuntimeError("a connection can be cut under uvicorn only")
    return transport
