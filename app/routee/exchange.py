"""One HTTP request to Routee, and the bytes of its answer."""

import asyncio
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

import httpx

from app.errors import ConfigurationError, RouteeUnavailable
from app.observability import tracing
from app.observability.metrics import Metrics
from app.routee.refusals import ABOUT_ACCESS

#: httpx raises these before it has sent a byte of the request.
_NOTHING_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
#: The longest answer has an entry or two for each of a thousand recipients.
MAX_ANSWER_BYTES: Final = 2_097_152
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_CODINGS: Final = _COMPRESSED | {"identity", ""}
#: For zlib: either format, which its header says.
_GZIP_OR_ZLIB: Final = 47
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

    def __init__(self, patience: Patience, metrics: Metrics) -> None:
        self._metrics = metrics
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
                # A compressed answer is read all the same, see `_body_of`.
                "Accept-Encoding": "identity",
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
        operation: str,
        deadline: float | None = None,
    ) -> RouteeAnswer:
        """
        The answer to *request*, with any status.

        *purpose* is a verb phrase for messages, *operation* one of `ROUTEE_OPERATIONS`. *deadline*,
        on the event loop's clock, can only shorten the wait.

        Raises:
            RouteeUnavailable: there is no complete answer, or it is too large, also if it only
                becomes so when it is decompressed.
        """
        latest = asyncio.get_running_loop().time() + self._total_seconds
        until = latest if deadline is None else min(latest, deadline)
        try:
            # httpx limits the wait for each piece of an answer, not for the whole.
            async with asyncio.timeout_at(until):
                with tracing.asking(operation, request.method, request.url.host) as answered:
                    answer = await self._answer(request, auth, purpose)
                    answered(answer.status)
        except (httpx.RequestError, TimeoutError) as error:
            self._count(operation, "unanswered")
            # No cause: its traceback can hold the headers of the request.
            raise _unanswered(error, purpose) from None
        except RouteeUnavailable:
            self._count(operation, "failed")
            raise
        self._count(operation, _outcome_of(answer))
        return answer

    def _count(self, operation: str, outcome: str) -> None:
        self._metrics.routee_requests.labels(operation, outcome).inc()

    async def _answer(self, request: httpx.Request, auth: httpx.Auth, purpose: str) -> RouteeAnswer:
        response = await self._http.send(request, auth=auth, stream=True)
        try:
            body = await _body_of(response)
        except _Unusable as error:
            raise RouteeUnavailable(
                f"Routee's answer {response.status_code} to the request to {purpose} {error}.",
                http_status=response.status_code,
                temporary=httpx.codes.is_server_error(response.status_code),
            ) from None
        finally:
            await response.aclose()
        return RouteeAnswer(response.status_code, response.headers, body)

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


class _Unusable(Exception):
    """The body of an answer cannot be used; the message is the predicate of a sentence."""


def _outcome_of(answer: RouteeAnswer) -> str:
    if answer.ok:
        return "ok"
    if answer.status in ABOUT_ACCESS:
        return "access-refused"
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "throttled"
    return "failed" if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"


async def _body_of(response: httpx.Response) -> bytes:
    """
    The body of *response*, decompressed.

    httpx would decompress each piece of it at once, to up to a thousand times its size.

    Raises:
        _Unusable: it is larger than allowed, or in an unknown encoding.
    """
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in _CODINGS:
        raise _Unusable("is in an unknown encoding")
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB) if coding in _COMPRESSED else None
    body, read_bytes = bytearray(), 0
    async for piece in response.aiter_raw():
        read_bytes += len(piece)
        if inflater is not None:
            piece = _inflated(inflater, piece, at_most=MAX_ANSWER_BYTES + 1 - len(body))  # noqa: PLW2901
        body += piece
        if max(len(body), read_bytes) > MAX_ANSWER_BYTES:
            raise _Unusable(f"is larger than {MAX_ANSWER_BYTES} bytes")
    if inflater is not None and body and not inflater.eof:
        raise _Unusable("is compressed and incomplete")
    return bytes(body)


def _inflated(inflater: "zlib._Decompress", piece: bytes, *, at_most: int) -> bytes:
    try:
        return inflater.decompress(piece, at_most)
    except zlib.error:
        raise _Unusable("cannot be decompressed") from None


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
