"""The simulated Routee: its endpoints."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox.account import QUEUED, SCHEDULED, SimulatedAccount
from app.sandbox.behaviour import Behaviour
from app.sandbox.callback_poster import CallbackPoster, PostingProgress
from app.sandbox.fault_plan import FaultPlan
from app.sandbox.faults import Endpoint, too_many_requests
from app.sandbox.ledger import Launches, SimulatedCampaign
from app.sandbox.payloads import campaign_answer, tracking_item
from app.sandbox.postings import Posting, postings_of
from app.sandbox.refusals import NO_CAMPAIGN, NO_MESSAGE, NOT_SCHEDULED, UNREADABLE
from app.sandbox.request_guard import Answering, RequestGuard
from app.sandbox.requests import campaign_name_in, read_campaign_request
from app.sandbox.rules import find_refusal
from app.sandbox.scenarios import simulate_messages
from app.sandbox.tokens import TokenIssuer
from app.sandbox.tracking import RateLimit, tracking_page

#: The number of callbacks that are posted before the answer with `Behaviour.before_answer`.
EARLY_CALLBACKS = 10


class SimulatedRoutee:
    """
    Simulates Routee: answers its API as an ASGI app, and posts the callbacks over HTTP.

    The base URLs of the API and of the token service are both the origin at which `app` is served.
    Close it with `aclose` or through the lifespan of `app`; the ledger can be read afterwards.
    """

    def __init__(
        self,
        *,
        behaviour: Behaviour,
        application_id: str,
        application_secret: str,
        balance: Decimal = Decimal("Infinity"),
        token_lifetime_seconds: float = 3600,
    ) -> None:
        #: The balance, and whether Viber is activated, can be set at any time.
        self.account = SimulatedAccount(balance=balance)
        #: The life of tokens can be set at any time.
        self.tokens = TokenIssuer(
            application_id=application_id,
            application_secret=application_secret,
            lifetime_seconds=token_lifetime_seconds,
        )
        #: The faults of requests.
        self.faults = FaultPlan(seed=behaviour.seed)
        self._behaviour = behaviour
        self._guard = RequestGuard(tokens=self.tokens, faults=self.faults, account=self.account)
        self._progress = PostingProgress()
        self._poster = CallbackPoster(behaviour=behaviour, progress=self._progress)
        self._tracking_rate = RateLimit(behaviour.tracking_per_second)
        self._scheduled_starts: dict[str, asyncio.TimerHandle] = {}
        #: The API. Faults that cut a connection need uvicorn; all else works in any ASGI server.
        self.app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    @property
    def progress(self) -> PostingProgress:
        """A snapshot of the progress of the callbacks."""
        return replace(self._progress)

    @property
    def campaigns(self) -> Mapping[str, SimulatedCampaign]:
        """The ledger: every accepted campaign by tracking id, in order, without deleted ones."""
        return MappingProxyType(self.account.campaigns)

    @property
    def launches(self) -> Mapping[str, Launches]:
        """The launch requests by campaign name."""
        return MappingProxyType(self.account.launches)

    def hold(self) -> None:
        """Start no callback until `release`; those that are under way continue."""
        self._poster.hold()

    def release(self) -> None:
        """Post the callbacks that were held, and hold none from now on."""
        self._poster.release()

    async def drained(self) -> None:
        """
        Wait until every callback of the started campaigns is acknowledged or abandoned.

        Held callbacks count, campaigns that are still Scheduled do not. Also returns when the
        simulator is closed.

        Raises:
            ExceptionGroup: the simulator failed.
        """
        await self._poster.drained()

    async def aclose(self) -> None:
        """Stop posting, cancel scheduled starts, end slow answers. May be called twice."""
        self._guard.close()
        for start in self._scheduled_starts.values():
            start.cancel()
        await self._poster.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.aclose()

    def _routes(self) -> list[Route]:
        resources: tuple[tuple[Endpoint, str, str, Answering], ...] = (
            (Endpoint.CAMPAIGN, "POST", "/viber/campaign", self._send_campaign),
            (Endpoint.DELETE, "DELETE", "/viber/campaign/{tracking_id}", self._delete_campaign),
            (
                Endpoint.TRACKING,
                "GET",
                "/viber/tracking/campaign/{tracking_id}",
                self._track_campaign,
            ),
            (Endpoint.TRACKING, "GET", "/viber/tracking/{tracking_id}", self._track_message),
        )
        token = self._guard.wrapped(Endpoint.TOKEN, self.tokens.issue)
        return [
            Route("/oauth/token", token, methods=["POST"]),
            *(
                Route(path, self._guard.guarded(endpoint, answering), methods=[method])
                for endpoint, method, path, answering in resources
            ),
        ]

    async def _send_campaign(self, request: Request) -> Response:
        body = await request.body()
        try:
            asked = read_campaign_request(json.loads(body))
        except ValueError as error:
            self.account.note_refusal(campaign_name_in(body), UNREADABLE.code)
            return UNREADABLE.answer(str(error))
        if refusal := find_refusal(asked, self.account):
            self.account.note_refusal(asked.name, refusal.code)
            return refusal.answer()
        campaign = self.account.accept(asked, now=_now())
        if campaign.state == SCHEDULED:
            self._start_later(campaign)
        else:
            await self._start_now(campaign)
        return JSONResponse(campaign_answer(campaign))

    async def _delete_campaign(self, request: Request) -> Response:
        campaign = self.campaigns.get(request.path_params["tracking_id"])
        if campaign is None:
            return NO_CAMPAIGN.answer()
        if campaign.state != SCHEDULED:
            return NOT_SCHEDULED.answer()
        self._scheduled_starts.pop(campaign.tracking_id).cancel()
        self.account.delete(campaign)
        return Response(status_code=204)

    async def _track_message(self, request: Request) -> Response:
        if not self._tracking_rate.allows():
            return too_many_requests().answer()
        tracking_id = request.path_params["tracking_id"]
        campaign = self.account.find_campaign_of(tracking_id)
        if campaign is None:
            return NO_MESSAGE.answer()
        return JSONResponse(tracking_item(campaign, campaign.messages[tracking_id]))

    async def _track_campaign(self, request: Request) -> Response:
        if not self._tracking_rate.allows():
            return too_many_requests().answer()
        campaign = self.campaigns.get(request.path_params["tracking_id"])
        if campaign is None:
            return NO_CAMPAIGN.answer()
        return tracking_page(campaign, request.query_params)

    async def _start_now(self, campaign: SimulatedCampaign) -> None:
        early = EARLY_CALLBACKS if self._behaviour.before_answer else 0
        postings = self._plan(campaign)
        self._poster.take(postings[early:])
        await self._poster.take_now(postings[:early])

    def _start_later(self, campaign: SimulatedCampaign) -> None:
        def start() -> None:
            del self._scheduled_starts[campaign.tracking_id]
            campaign.state = QUEUED
            self._poster.take(self._plan(campaign))

        at = campaign.request.scheduled_at or campaign.accepted_at
        self._scheduled_starts[campaign.tracking_id] = asyncio.get_running_loop().call_later(
            (at - _now()).total_seconds(), start
        )

    def _plan(self, campaign: SimulatedCampaign) -> list[Posting]:
        """Simulate the messages of *campaign*; return the callbacks to post, in order."""
        rng = Random(f"{self._behaviour.seed}/{campaign.number}")  # noqa: S311 (no secret)
        for message in simulate_messages(campaign.request, started_at=_now(), rng=rng):
            self.account.add_message(campaign, message)
        postings = postings_of(campaign, behaviour=self._behaviour, rng=rng)
        self._progress.lost += len(campaign.lost_events)
        return postings


def _now() -> datetime:
    """The current time in whole milliseconds, as in Routee's JSON."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
