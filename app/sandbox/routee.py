"""A Routee to try and to prove the service with: the calls that it answers."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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

from app.sandbox.behaviour import Behaviour
from app.sandbox.courier import Courier, Progress
from app.sandbox.deliveries import messages_of
from app.sandbox.ledger import SimulatedCampaign
from app.sandbox.payloads import campaign_answer, tracking_item
from app.sandbox.postings import Posting, postings_of
from app.sandbox.refusals import (
    NO_CAMPAIGN,
    NO_MESSAGE,
    NOT_SCHEDULED,
    UNREADABLE,
    Account,
    find_refusal,
)
from app.sandbox.requests import CampaignRequest, read_campaign_request
from app.sandbox.tokens import TokenDesk, unknown_token
from app.sandbox.tracking import tracking_page

#: How many callbacks overtake the answer when `Behaviour.before_answer` is set.
EARLY_CALLBACKS = 10

_SCHEDULED = "Scheduled"
_QUEUED = "Queued"

_Endpoint = Callable[[Request], Awaitable[Response]]


class SimulatedRoutee:
    """
    Plays Routee: answers its API as an ASGI app, and posts the callbacks over HTTP.

    Both bases, of the API and of the token service, are the origin at which `app` is mounted.
    Whoever builds one closes it, with `aclose` or through the lifespan of `app`; the ledger can be
    read afterwards.
    """

    def __init__(
        self,
        *,
        behaviour: Behaviour,
        application_id: str,
        application_secret: str,
        balance: Decimal = Decimal("Infinity"),
        token_lifetime_seconds: int = 3600,
    ) -> None:
        #: What is left to spend; each accepted campaign lowers it. May be set at any time.
        self.balance = balance
        self._behaviour = behaviour
        self._tokens = TokenDesk(
            application_id=application_id,
            application_secret=application_secret,
            lifetime_seconds=token_lifetime_seconds,
        )
        self._progress = Progress()
        self._courier = Courier(behaviour=behaviour, progress=self._progress)
        self._campaigns: dict[str, SimulatedCampaign] = {}
        self._campaign_by_message: dict[str, SimulatedCampaign] = {}
        self._accepted = 0
        self._beginnings: dict[str, asyncio.TimerHandle] = {}
        #: The API, for any ASGI server.
        self.app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    @property
    def progress(self) -> Progress:
        """How far the posting is, at this moment."""
        return replace(self._progress)

    @property
    def campaigns(self) -> Mapping[str, SimulatedCampaign]:
        """The ledger: every accepted campaign by tracking id, in order, without deleted ones."""
        return MappingProxyType(self._campaigns)

    async def drained(self) -> None:
        """
        Wait until every callback of the campaigns that have begun is acknowledged or abandoned.

        One that is still Scheduled does not count. Also returns when the simulator is closed.

        Raises:
            ExceptionGroup: posting broke down because of a defect of the simulator.
        """
        await self._courier.drained()

    async def aclose(self) -> None:
        """Stop posting and forget scheduled beginnings. May be called twice."""
        for beginning in self._beginnings.values():
            beginning.cancel()
        await self._courier.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.aclose()

    def _routes(self) -> list[Route]:
        resources: tuple[tuple[str, str, _Endpoint], ...] = (
            ("POST", "/viber/campaign", self._send_campaign),
            ("DELETE", "/viber/campaign/{tracking_id}", self._delete_campaign),
            ("GET", "/viber/tracking/campaign/{tracking_id}", self._track_campaign),
            ("GET", "/viber/tracking/{tracking_id}", self._track_message),
        )
        return [
            Route("/oauth/token", self._tokens.issue, methods=["POST"]),
            *(
                Route(path, self._guarded(endpoint), methods=[method])
                for method, path, endpoint in resources
            ),
        ]

    def _guarded(self, endpoint: _Endpoint) -> _Endpoint:
        async def guarded(request: Request) -> Response:
            if not self._tokens.opens(request.headers.get("authorization", "")):
                return unknown_token()
            return await endpoint(request)

        return guarded

    async def _send_campaign(self, request: Request) -> Response:
        try:
            asked = read_campaign_request(json.loads(await request.body()))
        except ValueError as error:
            return UNREADABLE.answer(str(error))
        if refusal := find_refusal(asked, self._account()):
            return refusal.answer()
        campaign = self._accept(asked)
        if campaign.state == _SCHEDULED:
            self._begin_later(campaign)
        else:
            await self._begin_now(campaign)
        return JSONResponse(campaign_answer(campaign))

    async def _delete_campaign(self, request: Request) -> Response:
        campaign = self._campaigns.get(request.path_params["tracking_id"])
        if campaign is None:
            return NO_CAMPAIGN.answer()
        if campaign.state != _SCHEDULED:
            return NOT_SCHEDULED.answer()
        self._beginnings.pop(campaign.tracking_id).cancel()
        del self._campaigns[campaign.tracking_id]
        self.balance += campaign.request.cost
        return Response(status_code=204)

    async def _track_message(self, request: Request) -> Response:
        tracking_id = request.path_params["tracking_id"]
        campaign = self._campaign_by_message.get(tracking_id)
        if campaign is None:
            return NO_MESSAGE.answer()
        return JSONResponse(tracking_item(campaign, campaign.messages[tracking_id]))

    async def _track_campaign(self, request: Request) -> Response:
        campaign = self._campaigns.get(request.path_params["tracking_id"])
        if campaign is None:
            return NO_CAMPAIGN.answer()
        return tracking_page(campaign, request.query_params)

    def _account(self) -> Account:
        names = (campaign.request.name for campaign in self._campaigns.values())
        return Account(campaign_names={name for name in names if name}, balance=self.balance)

    def _accept(self, asked: CampaignRequest) -> SimulatedCampaign:
        now = _now()
        is_later = asked.scheduled_at is not None and asked.scheduled_at > now
        campaign = SimulatedCampaign(
            tracking_id=str(uuid.uuid4()),
            request=asked,
            accepted_at=now,
            state=_SCHEDULED if is_later else _QUEUED,
            number=self._accepted,
        )
        self._accepted += 1
        self.balance -= asked.cost
        self._campaigns[campaign.tracking_id] = campaign
        return campaign

    async def _begin_now(self, campaign: SimulatedCampaign) -> None:
        early = EARLY_CALLBACKS if self._behaviour.before_answer else 0
        postings = self._plan(campaign)
        self._courier.take(postings[early:])
        await self._courier.take_now(postings[:early])

    def _begin_later(self, campaign: SimulatedCampaign) -> None:
        def begin() -> None:
            del self._beginnings[campaign.tracking_id]
            campaign.state = _QUEUED
            self._courier.take(self._plan(campaign))

        at = campaign.request.scheduled_at or campaign.accepted_at
        self._beginnings[campaign.tracking_id] = asyncio.get_running_loop().call_later(
            (at - _now()).total_seconds(), begin
        )

    def _plan(self, campaign: SimulatedCampaign) -> list[Posting]:
        """Write the story of *campaign* into the ledger; what is to be posted of it, in order."""
        rng = Random(f"{self._behaviour.seed}/{campaign.number}")  # noqa: S311 (a story, no secret)
        for message in messages_of(campaign.request, started_at=_now(), rng=rng):
            campaign.messages[message.tracking_id] = message
            self._campaign_by_message[message.tracking_id] = campaign
        postings = postings_of(campaign, behaviour=self._behaviour, rng=rng)
        self._progress.lost += len(campaign.lost_events)
        return postings


def _now() -> datetime:
    """The present instant in whole milliseconds, as the wire has them."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
