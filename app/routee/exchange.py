"""One HTTP request to Routee, and the bytes of its answer."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Final

import httpx

from app.errors import ConfigurationError, RouteeUnavailable

#: httpx raises these before it has sent a byte of the request.
_NOTHING_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
#: Longer values of `Retry-After` are nonsense.
_MAX_SECONDS_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for Routee, in seconds."""

    #: For a connection, its TLS handshake included.
    connect_seconds: float = 5.0
    #: For the whole answer, once connected.
    answer_seconds: float = 30.0
    #: For a whole launch, the request for its access token included.
    launch_seconds: float = 45.0


@dataclass(frozen=True, slots=True)
class RouteeAnswer:
    """Routee's answer to one request. The body may quote telephone numbers and callback tokens."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return httpx.codes.is_success(self.status)


def base_url(url: str, *, setting: str) -> str:
    """
    *url* without a trailing slash, so that a path can be appended.

    Raises:
        ConfigurationError: it is not an http(s) URL, or has more than a path.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    usable = parsed.scheme in {"http", "https"} and parsed.host
    if not usable or parsed.query or parsed.fragment:
        raise ConfigurationError(f"{setting} must be an http(s) URL without query and fragment.")
    return url.rstrip("/")


class Exchange:
    """Sends requests, each exactly once, over a pool of connections."""

    def __init__(self, patience: Patience) -> None:
        # The waits for a free connection of the pool, for connecting, and for the answer.
        self._total_seconds = 2 * patience.connect_seconds + patience.answer_seconds
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(
                patience.answer_seconds,
                connect=patience.connect_seconds,
                pool=patience.connect_seconds,
            ),
            headers={
                "User-Agent": f"routee-receiver/{version('routee-receiver')}",
                "Accept": "application/json",
            },
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(
        self,
        request: httpx.Request,
        auth: httpx.Auth,
        *,
        purpose: str,
        deadline: float | None = None,
    ) -> RouteeAnswer:
        """
        The answer to *request*, with any status.

        *purpose* is a verb phrase for messages. *deadline*, on the event loop's clock, can only
        shorten the wait.

        Raises:
            RouteeUnavailable: there is no complete answer.
        """
        latest = asyncio.get_running_loop().time() + self._total_seconds
        until = latest if deadline is None else min(latest, deadline)
        try:
            # httpx limits the wait for each piece of an answer, not for the whole.
            async with asyncio.timeout_at(until):
                response = await self._http.send(request, auth=auth)
        except (httpx.RequestError, TimeoutError) as error:
            # No cause: its traceback can hold the headers of the request.
            raise _unanswered(error, purpose) from None
        return RouteeAnswer(response.status_code, response.headers, response.content)

    def build(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, int] | None = None,
        form: Mapping[str, str] | None = None,
        json: bytes | None = None,
    ) -> httpx.Request:
        """A request that is ready to be sent; *json* is its exact body."""
        headers = {"Content-Type": "application/json"} if json is not None else None
        return self._http.build_request(
            method, url, params=query, data=form, content=json, headers=headers
        )


def _unanswered(error: Exception, purpose: str) -> RouteeUnavailable:
    name = type(error).__name__
    if isinstance(error, _NOTHING_SENT):
        # Only the texts of these errors certainly quote nothing of the request.
        return RouteeUnavailable(
            f"No connection to Routee to {purpose}: {name}: {error}", may_have_been_accepted=False
        )
    return RouteeUnavailable(
        f"Routee did not answer the request to {purpose} ({name}).", may_have_been_accepted=True
    )


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> int | None:
    """`Retry-After` in seconds, from seconds or an HTTP date (RFC 9110, 10.2.3); None if absent."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal() and len(value) <= _MAX_SECONDS_DIGITS:
        return int(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(math.ceil((moment - (now or datetime.now(UTC))).total_seconds()), 0)
