"""How Routee's access tokens are obtained, and for how long one is used."""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

import httpx
import structlog

from app.domain.masking import SecretMask
from app.errors import RouteeTokenUnavailable, RouteeUnavailable
from app.observability.metrics import Metrics
from app.routee import reading, wire
from app.routee.exchange import Exchange, RouteeAnswer, base_url, retry_after_seconds

log = structlog.get_logger(__name__)

_PURPOSE: Final = "obtain an access token"
#: A token is renewed this long before its end, or after nine tenths of its life if that is later.
_MAX_MARGIN_SECONDS: Final = 60.0
_MARGIN_SHARE: Final = 0.1
#: Used if Routee names no life. It is short, because Routee hands out a living token again.
_DEFAULT_LIFE_SECONDS: Final = 300.0
_MAX_REASON_CHARACTERS: Final = 200
_CREDENTIALS_REFUSED: Final = frozenset({400, 401, 403})
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
#: Characters that a header may have. Others would raise an exception that quotes the token.
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, eq=False)
class AccessToken(httpx.Auth):
    """A bearer token that signs requests. Its `repr` shows no secret."""

    value: str = field(repr=False)
    #: On the clock of its `AccessTokens`.
    renew_at_seconds: float

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Sign *request*; called by httpx."""
        request.headers["Authorization"] = f"Bearer {self.value}"
        yield request


class AccessTokens:
    """
    The current access token. Concurrent callers share one request that renews it before it expires.

    *fetch* makes that request and returns the token and its life in seconds.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[tuple[str, float]]], *, clock: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._current: AccessToken | None = None
        self._renewal: asyncio.Task[AccessToken] | None = None

    async def get(self) -> AccessToken:
        """
        The token to use now.

        Cancelling one caller does not stop the renewal for the others.

        Raises:
            RouteeTokenUnavailable: there is none.
        """
        if self._current is not None and self._clock() < self._current.renew_at_seconds:
            return self._current
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(self._renewed)
        renewal = self._renewal
        await asyncio.wait({renewal})
        if renewal.cancelled():
            raise RouteeTokenUnavailable(
                "The client is being closed.", may_have_been_accepted=False, temporary=False
            )
        return renewal.result()

    def forget(self, token: AccessToken) -> None:
        """Stop using *token*, unless another token has replaced it already."""
        if self._current is token:
            self._current = None

    async def aclose(self) -> None:
        """Cancel a running renewal."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})

    async def _renew(self) -> AccessToken:
        # The token's life began before its answer arrived, so it is counted from the request.
        asked_at = self._clock()
        value, life_seconds = await self._fetch()
        margin = min(_MAX_MARGIN_SECONDS, life_seconds * _MARGIN_SHARE)
        self._current = AccessToken(value, asked_at + life_seconds - margin)
        log.info("Routee access token renewed", life_seconds=life_seconds)
        return self._current

    def _renewed(self, renewal: asyncio.Task[AccessToken]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # marks it as retrieved: all callers may have been cancelled


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one application, from Routee's console. Their `repr` shows nothing of them."""

    application_id: str = field(repr=False)
    application_secret: str = field(repr=False)

    @property
    def spellings(self) -> tuple[str, str, str]:
        """All texts that give them away, the header of the token request included."""
        pair = f"{self.application_id}:{self.application_secret}"
        return (
            self.application_id,
            self.application_secret,
            base64.b64encode(pair.encode()).decode(),
        )


class TokenService:
    """Routee's token service, called with the credentials of one application."""

    def __init__(
        self, exchange: Exchange, *, auth_url: str, credentials: Credentials, metrics: Metrics
    ) -> None:
        self._exchange = exchange
        self._refreshes = metrics.routee_token_refreshes
        self._url = f"{base_url(auth_url, setting='RECEIVER_ROUTEE_AUTH_URL')}/oauth/token"
        self._auth = httpx.BasicAuth(credentials.application_id, credentials.application_secret)
        self._mask = SecretMask(credentials.spellings)

    async def fetch(self) -> tuple[str, float]:
        """
        Request a token; return it and its life in seconds.

        Raises:
            RouteeTokenUnavailable: there is none; `temporary` says whether a repeat may help.
        """
        try:
            token = await self._fetched()
        except RouteeTokenUnavailable as error:
            self._refreshes.labels("failed" if error.temporary else "refused").inc()
            if not error.temporary:
                log.warning("Routee gives no access token", error=str(error))
            raise
        self._refreshes.labels("renewed").inc()
        return token

    async def _fetched(self) -> tuple[str, float]:
        request = self._exchange.build("POST", self._url, form={"grant_type": "client_credentials"})
        try:
            answer = await self._exchange.send(
                request, self._auth, purpose=_PURPOSE, operation="token"
            )
        except RouteeUnavailable as error:
            raise RouteeTokenUnavailable(
                error.detail,
                http_status=error.http_status,
                may_have_been_accepted=False,
                temporary=error.temporary,
            ) from None
        if not answer.ok:
            raise self._refusal(answer)
        payload = wire.find_object(answer.body) or {}
        token = payload.get("access_token")
        if not isinstance(token, str) or not _SENDABLE.fullmatch(token):
            raise _no_token("Routee's answer has no usable access token.", answer, temporary=False)
        return token, _life_seconds(payload.get("expires_in"))

    def _refusal(self, answer: RouteeAnswer) -> RouteeTokenUnavailable:
        reason = self._reason(answer)
        if answer.status in _CREDENTIALS_REFUSED:
            return _no_token(
                f"Routee refused the application's credentials ({reason}). Check "
                "RECEIVER_ROUTEE_APPLICATION_ID and RECEIVER_ROUTEE_APPLICATION_SECRET.",
                answer,
                temporary=False,
            )
        if answer.status == _TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR:
            return _no_token(
                f"Routee's token service is not available now ({reason}).", answer, temporary=True
            )
        return _no_token(
            f"Routee's token service gave no token ({reason}). Check RECEIVER_ROUTEE_AUTH_URL.",
            answer,
            temporary=False,
        )

    def _reason(self, answer: RouteeAnswer) -> str:
        payload = wire.find_object(answer.body) or {}
        said = (
            reading.text(payload, "error"),
            reading.text(payload, "error_description", "message"),
        )
        reason = ": ".join((f"HTTP {answer.status}", *filter(None, said)))
        return self._mask.text(reason)[:_MAX_REASON_CHARACTERS]


def _no_token(detail: str, answer: RouteeAnswer, *, temporary: bool) -> RouteeTokenUnavailable:
    return RouteeTokenUnavailable(
        detail,
        http_status=answer.status,
        may_have_been_accepted=False,
        temporary=temporary,
        retry_after_seconds=retry_after_seconds(answer.headers),
    )


def _life_seconds(value: object) -> float:
    """The value of `expires_in`, which Routee also sends as a numeric string."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return _DEFAULT_LIFE_SECONDS
    try:
        seconds = float(Decimal(value))
    except (InvalidOperation, ValueError, OverflowError):
        return _DEFAULT_LIFE_SECONDS
    return max(seconds, 0.0) if seconds == seconds else _DEFAULT_LIFE_SECONDS  # noqa: PLR0124 (NaN)
