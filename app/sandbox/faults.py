"""The faults that a request to the simulated Routee can have."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Endpoint(StrEnum):
    """The endpoints, each of which has its own faults."""

    #: `POST /oauth/token`.
    TOKEN = "token"  # noqa: S105 (a name, no secret)
    #: `POST /viber/campaign`.
    CAMPAIGN = "campaign"
    #: `GET /viber/tracking/…`, of a message and of a campaign.
    TRACKING = "tracking"
    #: `DELETE /viber/campaign/…`.
    DELETE = "delete"


class HangUp(Response):
    """
    Closes the connection without sending a byte.

    ASGI has no message for it. Under uvicorn `receive` is a method of the request's cycle, which
    has the transport, so no middleware may wrap `receive`.

    Raises:
        RuntimeError: when called, if the server is not uvicorn.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Close the connection, and return once uvicorn knows, so that it expects no answer."""
        _transport_of(receive).abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _transport_of(receive: Receive) -> asyncio.Transport:
    cycle = getattr(receive, "__self__", None)
    transport: asyncio.Transport | None = getattr(cycle, "transport", None)
    if transport is None:
        raise RuntimeError("a connection can be cut under uvicorn only")
    return transport


@dataclass(frozen=True, slots=True)
class Cut:
    """
    The connection is closed without a byte of an answer.

    If *handled*, Routee processes the request first: a campaign is accepted (or refused), its
    callbacks are posted, and the client does not know.
    """

    handled: bool

    def answer(self) -> Response:
        """The response to send instead."""
        return HangUp()


@dataclass(frozen=True, slots=True)
class Instead:
    """Another answer than Routee's; for *handled* see `Cut`."""

    status: int
    content: str
    media_type: str = "application/json"
    retry_after: str | None = None
    handled: bool = False

    def answer(self) -> Response:
        """The response to send instead."""
        headers = {"Retry-After": self.retry_after} if self.retry_after is not None else None
        return Response(self.content, self.status, headers, self.media_type)


@dataclass(frozen=True, slots=True)
class Slow:
    """The right answer after a wait, before or after the request is *handled*."""

    seconds: float
    handled: bool


InjectedFault = Cut | Instead | Slow

CUT_BEFORE = Cut(handled=False)
CUT_AFTER = Cut(handled=True)


def too_many_requests(retry_after: str | None = "1") -> Instead:
    """429; *retry_after* is the value of the header, seconds or an HTTP date, or None."""
    content = _error("429000000", "Too many requests")
    return Instead(429, content, retry_after=retry_after)


def server_error(status: int = 500, *, handled: bool = False) -> Instead:
    """A failure of Routee, before or after it has *handled* the request."""
    return Instead(status, _error(f"{status}000000", "Something went wrong"), handled=handled)


def denied(status: int = 401) -> Instead:
    """401 or 403 in the form of a token error, even for a valid token."""
    content = json.dumps({"error": "access_denied", "error_description": "Access is denied"})
    return Instead(status, content)


def garbage(*, handled: bool = False) -> Instead:
    """200 with an HTML page, as a proxy might answer."""
    content = "<!doctype html><title>Welcome</title><p>Nothing to see here"
    return Instead(200, content, "text/html", handled=handled)


def named_faults(*, slow_seconds: float, retry_after: str | None) -> Mapping[str, InjectedFault]:
    """Every fault under its name on the command line."""
    return {
        "401": denied(401),
        "403": denied(403),
        "429": too_many_requests(retry_after),
        "500": server_error(),
        "500-after": server_error(handled=True),
        "cut-before": CUT_BEFORE,
        "cut-after": CUT_AFTER,
        "slow-before": Slow(slow_seconds, handled=False),
        "slow-after": Slow(slow_seconds, handled=True),
        "garbage": garbage(),
        "garbage-after": garbage(handled=True),
    }


def _error(code: str, message: str) -> str:
    return json.dumps({"code": code, "developerMessage": message})
