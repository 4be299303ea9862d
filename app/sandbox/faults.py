"""The only file of the simulator that knows what can go wrong with a request to Routee."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from starlette.responses import Response

from app.sandbox.hang_up import HangUp


class Endpoint(StrEnum):
    """What faults are planned for, each for itself."""

    #: `POST /oauth/token`.
    TOKEN = "token"  # noqa: S105 (a name, no secret)
    #: `POST /viber/campaign`.
    CAMPAIGN = "campaign"
    #: `GET /viber/tracking/…`, of a message and of a campaign.
    TRACKING = "tracking"
    #: `DELETE /viber/campaign/…`.
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Cut:
    """
    The connection is closed without a byte of an answer.

    If *handled*, Routee has done before what was asked: a campaign is accepted (or refused), its
    callbacks go out, and the client does not know.
    """

    handled: bool

    def answer(self) -> Response:
        """What is answered instead."""
        return HangUp()


@dataclass(frozen=True, slots=True)
class Instead:
    """Another answer than that of Routee's; *handled* as for `Cut`."""

    status: int
    content: str
    media_type: str = "application/json"
    retry_after: str | None = None
    handled: bool = False

    def answer(self) -> Response:
        """What is answered instead."""
        headers = {"Retry-After": self.retry_after} if self.retry_after is not None else None
        return Response(self.content, self.status, headers, self.media_type)


@dataclass(frozen=True, slots=True)
class Slow:
    """The right answer so many seconds late; Routee waits before, or when it has *handled* it."""

    seconds: float
    handled: bool


Fault = Cut | Instead | Slow

CUT_BEFORE = Cut(handled=False)
CUT_AFTER = Cut(handled=True)


def too_many_requests(retry_after: str | None = "1") -> Instead:
    """429; *retry_after* is the header as it stands: seconds, or an HTTP date, or None for none."""
    content = _error("429000000", "Too many requests")
    return Instead(429, content, retry_after=retry_after)


def server_error(status: int = 500, *, handled: bool = False) -> Instead:
    """A failure on Routee's side, before or after it has done what was asked."""
    return Instead(status, _error(f"{status}000000", "Something went wrong"), handled=handled)


def denied(status: int = 401) -> Instead:
    """401 or 403 in the shape of a token error, whatever the token is worth."""
    content = json.dumps({"error": "access_denied", "error_description": "Access is denied"})
    return Instead(status, content)


def garbage(*, handled: bool = False) -> Instead:
    """200 with a page of HTML, as from a proxy in between."""
    content = "<!doctype html><title>Welcome</title><p>Nothing to see here"
    return Instead(200, content, "text/html", handled=handled)


def slow_before(seconds: float) -> Slow:
    """So many seconds pass before Routee looks at the request."""
    return Slow(seconds, handled=False)


def slow_after(seconds: float) -> Slow:
    """Routee does what was asked at once, and so many seconds pass before it says so."""
    return Slow(seconds, handled=True)


def named_faults(*, slow_seconds: float, retry_after: str | None) -> Mapping[str, Fault]:
    """Every kind of fault under a name for a person to type."""
    return {
        "401": denied(401),
        "403": denied(403),
        "429": too_many_requests(retry_after),
        "500": server_error(),
        "500-after": server_error(handled=True),
        "cut-before": CUT_BEFORE,
        "cut-after": CUT_AFTER,
        "slow-before": slow_before(slow_seconds),
        "slow-after": slow_after(slow_seconds),
        "garbage": garbage(),
        "garbage-after": garbage(handled=True),
    }


def _error(code: str, message: str) -> str:
    return json.dumps({"code": code, "developerMessage": message})
