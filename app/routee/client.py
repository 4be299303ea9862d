"""A client of Routee's endpoints for Viber, which knows the calls that may be repeated."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import quote, urlsplit

import structlog

from app.domain.masking import SecretMask
from app.errors import RouteeRefused, RouteeTokenUnavailable, RouteeUnavailable
from app.observability.metrics import Metrics
from app.routee import wire
from app.routee.access_token import AccessToken, AccessTokens, Credentials, TokenService
from app.routee.error_answer import failure_of
from app.routee.exchange import Exchange, Patience, RouteeAnswer, base_url
from app.routee.launch_answer import LaunchAnswer, read_launch_answer
from app.routee.refusals import ABOUT_ACCESS, Meaning
from app.routee.repeats import Repeats
from app.routee.tracking import TRACKING_PATH

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request to the API."""

    method: str
    path: str
    #: A verb phrase for messages.
    purpose: str
    #: For the metrics.
    operation: str
    query: Mapping[str, int] | None = None
    json: bytes | None = field(default=None, repr=False)


class RouteeClient:
    """
    Launches Viber campaigns, deletes scheduled ones, and reads the status of messages.

    Money is `Decimal` in both directions. Reads, deletions and token requests are repeated when
    that may help. A launch is never repeated once it may have reached Routee.

        async with RouteeClient(
            api_url="https://connect.routee.net",
            auth_url="https://auth.routee.net",
            application_id="…",
            application_secret="…",
        ) as routee:
            answer = await routee.launch_campaign({"senderInfoTrackingId": "…", …})

    All methods raise `RouteeRefused` if Routee refuses, `RouteeUnavailable` if there is no usable
    answer, and its subclass `RouteeTokenUnavailable` if there is no access token.
    """

    def __init__(  # noqa: PLR0913 (only the first four are required)
        self,
        *,
        api_url: str,
        auth_url: str,
        application_id: str,
        application_secret: str,
        patience: Patience | None = None,
        repeats: Repeats | None = None,
        mask: SecretMask | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            api_url: base of the API, to which paths are appended.
            auth_url: base of the token service.
            application_id: of Routee's console.
            application_secret: of Routee's console.
            patience: how long to wait for connections and answers.
            repeats: how often to repeat calls that may be repeated.
            mask: of our secrets. Routee's answers lose them, and the credentials as well.
            metrics: where requests and token refreshes are counted.
            clock: in seconds; decides when a token is renewed.

        Raises:
            ConfigurationError: an address is no http(s) URL.
        """
        self._api_url = base_url(api_url, setting="RECEIVER_ROUTEE_API_URL")
        self._repeats = repeats or Repeats()
        self._patience = patience or Patience()
        metrics = metrics or Metrics()
        self._exchange = Exchange(self._patience, metrics)
        credentials = Credentials(application_id, application_secret)
        self._mask = (mask or SecretMask()).with_more(*credentials.spellings)
        service = TokenService(
            self._exchange, auth_url=auth_url, credentials=credentials, metrics=metrics
        )
        self._tokens = AccessTokens(
            lambda: self._repeats.call_for_token(service.fetch), clock=clock
        )

    def __repr__(self) -> str:
        return f"<RouteeClient {urlsplit(self._api_url).hostname}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. Pending calls end without an answer."""
        await self._tokens.aclose()
        await self._exchange.aclose()

    async def authenticate(self) -> None:
        """
        Obtain an access token, and ask for nothing.

        Raises:
            RouteeTokenUnavailable: there is none; the message says why.
        """
        await self._token(None)

    async def launch_campaign(self, request: Mapping[str, Any]) -> LaunchAnswer:
        """
        Ask Routee to send the campaign *request*, in Routee's own field names. It costs money.

        Never repeated, except once with a new token after Routee refused the token. Ends within
        `Patience.launch_seconds`, so a lease that is longer outlasts it.

        Raises:
            RouteeRefused: nothing will be sent.
            RouteeUnavailable: unless `may_have_been_accepted` is False, it may have been launched.
        """
        call = _Call(
            "POST", "/viber/campaign", "launch the campaign", "launch", json=wire.serialise(request)
        )
        deadline = asyncio.get_running_loop().time() + self._patience.launch_seconds
        return read_launch_answer(await self._ask(call, deadline=deadline))

    async def delete_campaign(self, tracking_id: str) -> None:
        """
        Delete a campaign that is scheduled and not yet being sent. Repeated if need be.

        Raises:
            RouteeRefused: it is unknown, or no longer scheduled.
            RouteeUnavailable: unless `may_have_been_accepted` is False, it may have been deleted.
        """
        call = _Call(
            "DELETE", f"/viber/campaign/{_segment(tracking_id)}", "delete the campaign", "delete"
        )
        await self._repeats.call(_Deletion(lambda: self._ask(call)).attempt)

    async def track_message(self, tracking_id: str) -> Mapping[str, Any]:
        """
        The status of one message, as Routee spells it.

        Raises:
            RouteeRefused: it is unknown.
        """
        call = _Call(
            "GET", f"{TRACKING_PATH}/{_segment(tracking_id)}", "track a message", "track-message"
        )
        return await self._repeats.call(lambda: self._read(call))

    async def track_page(
        self, tracking_id: str, *, number: int, page_size: int = 100
    ) -> Mapping[str, Any]:
        """
        One page, counted from 0, of the status of a campaign's messages, as Routee spells it.

        A message can be on two pages or on none if the campaign grows between the reads.

        Raises:
            RouteeRefused: it is unknown.
        """
        path = f"{TRACKING_PATH}/campaign/{_segment(tracking_id)}"
        query = {"page": number, "size": page_size}
        call = _Call("GET", path, "track a campaign", "track-campaign", query=query)
        return await self._repeats.call(lambda: self._read(call))

    async def _read(self, call: _Call) -> Mapping[str, Any]:
        answer = await self._ask(call)
        payload = wire.find_object(answer.body)
        if payload is not None:
            return payload
        raise RouteeUnavailable(
            f"The answer {answer.status} to the request to {call.purpose} cannot be read.",
            http_status=answer.status,
            temporary=False,
        )

    async def _ask(self, call: _Call, *, deadline: float | None = None) -> RouteeAnswer:
        """A 2xx, retried once with a new token; *deadline* is on the event loop's clock."""
        token = await self._token(deadline)
        answer = await self._send(call, token, deadline)
        if answer.status in ABOUT_ACCESS:
            log.info("Routee refused the access token", http_status=answer.status)
            self._tokens.forget(token)
            answer = await self._send(call, await self._token(deadline), deadline)
        if answer.ok:
            return answer
        raise failure_of(answer, purpose=call.purpose)

    async def _token(self, deadline: float | None) -> AccessToken:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._tokens.get()
        except TimeoutError:
            raise RouteeTokenUnavailable(
                "Routee gave no access token in time.", may_have_been_accepted=False
            ) from None

    async def _send(self, call: _Call, token: AccessToken, deadline: float | None) -> RouteeAnswer:
        request = self._exchange.build(
            call.method, f"{self._api_url}{call.path}", query=call.query, json=call.json
        )
        answer = await self._exchange.send(
            request, token, purpose=call.purpose, operation=call.operation, deadline=deadline
        )
        # Before anything reads it: an answer can quote all that we send.
        body = self._mask.with_more(token.value).octets(answer.body)
        return replace(answer, body=body)


class _Deletion:
    """Attempts to delete one campaign; each knows whether an earlier one may have succeeded."""

    def __init__(self, delete: Callable[[], Awaitable[object]]) -> None:
        self._delete = delete
        self._maybe_done = False

    async def attempt(self) -> None:
        """Delete it. If it is gone after an unanswered attempt, that attempt deleted it."""
        try:
            await self._delete()
        except RouteeUnavailable as error:
            self._maybe_done |= error.may_have_been_accepted
            error.may_have_been_accepted = self._maybe_done
            raise
        except RouteeRefused as refusal:
            if not self._maybe_done:
                raise
            self._check_refusal(refusal)

    def _check_refusal(self, refusal: RouteeRefused) -> None:
        if refusal.meaning == Meaning.CAMPAIGN_NOT_FOUND:
            return
        if refusal.meaning != Meaning.CAMPAIGN_NOT_SCHEDULED:
            raise refusal
        # Either our own first attempt deleted it, or it is being sent.
        raise RouteeUnavailable(
            "The campaign is no longer scheduled, and an earlier attempt to delete it went "
            "unanswered: it was deleted by that, or is being sent.",
            http_status=refusal.http_status,
            temporary=False,
        ) from refusal


def _segment(tracking_id: str) -> str:
    """*tracking_id* as one segment of a path."""
    if not tracking_id:
        raise ValueError("the tracking id is empty")
    # A segment of only dots would mean a parent path, and so another endpoint.
    only_dots = not tracking_id.strip(".")
    return "%2E" * len(tracking_id) if only_dots else quote(tracking_id, safe="")
