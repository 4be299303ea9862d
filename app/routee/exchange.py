"""The only file that knows httpx: one request to Routee, and the bytes of its answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

import httpx

from app.errors import ConfigurationError, RouteeUnavailable

#: Raised before a byte of the request has left.
_NOTHING_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for Routee, in seconds."""

    #: For a connection, its TLS handshake included.
    connect_seconds: float = 5.0
    #: For the whole answer, once connected.
    answer_seconds: float = 30.0
    #: For a whole launch, with all that its access token takes.
    launch_seconds: float = 45.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What Routee answered. The body may quote telephone numbers and callback tokens."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether it is any 2xx."""
        return httpx.codes.is_success(self.status)


def base_url(url: str, *, setting: str) -> str:
    """
    *url* without a slash at its end, ready for a path to be appended.

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
        # For a place in the pool, for the connection, and for the answer.
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
    ) -> Answer:
        """
        The answer to *request*, whatever its status.

        *purpose* is a verb phrase for messages; the *deadline*, on the clock of the event loop, may
        only shorten the wait.

        Raises:
            RouteeUnavailable: no whole answer came.
        """
        latest = asyncio.get_running_loop().time() + self._total_seconds
        until = latest if deadline is None else min(latest, deadline)
        try:
            # httpx limits the wait for each piece of an answer, not for all of them.
            async with asyncio.timeout_at(until):
                response = await self._http.send(request, auth=auth)
        except (httpx.RequestError, TimeoutError) as error:
            # The cause is left out: its traceback can hold the headers of the request.
            raise _unanswered(error, purpose) from None
        return Answer(response.status_code, response.headers, response.content)

    def build(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, int] | None = None,
        form: Mapping[str, str] | None = None,
        json: bytes | None = None,
    ) -> httpx.Request:
        """A request that has not been sent; *json* is sent as it is."""
        headers = {"Content-Type": "application/json"} if json is not None else None
        return self._http.build_request(
            method, url, params=query, data=form, content=json, headers=headers
        )


def _unanswered(error: Exception, purpose: str) -> RouteeUnavailable:
    name = type(error).__name__
    if isinstance(error, _NOTHING_SENT):
        # Only these texts are known to hold nothing of the request.
        return RouteeUnavailable(
            f"No connection to Routee to {purpose}: {name}: {error}", may_have_been_accepted=False
        )
    return RouteeUnavailable(
        f"Routee did not answer the request to {purpose} ({name}).", may_have_been_accepted=True
    )
