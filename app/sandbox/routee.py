"""A Routee to try and to prove the service with: the calls that it answers."""

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
from app.sandbox.courier import Courier, Progress
from app.sandbox.deliveries import messages_of
from app.sandbox.door import Answering, Door
from app.sandbox.fault_plan import FaultPlan
from app.sandbox.faults import Endpoint
from app.sandbox.ledger import Launches, SimulatedCampaign
from app.sandbox.payloads import campaign_answer, tracking_item
from app.sandbox.postings import Posting, postings_of
from app.sandbox.refusals import NO_CAMPAIGN, NO_MESSAGE, NOT_SCHEDULED, UNREADABLE
from app.sandbox.requests import campaign_name_in, read_campaign_request
from app.sandbox.rules import find_refusal
from app.sandbox.tokens import TokenDesk
from app.sandbox.tracking import tracking_page

#: How many callbacks overtake the answer when `Behaviour.before_answer` is set.
EARLY_CALLBACKS = 10


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
        token_lifetime_seconds: float = 3600,
    ) -> None:
        #: Its balance, and whether Viber is activated, may be set at any time.
        self.account = SimulatedAccount(balance=balance)
        #: How long tokens live may be set, and the living one made to expire, at any time.
        self.tokens = TokenDesk(
            application_id=application_id,
            application_secret=application_secret,
            lifetime_seconds=token_lifetime_seconds,
        )
        #: What goes wrong with which request.
        self.faults = FaultPlan(seed=behaviour.seed)
        self._behaviour = behaviour
        self._door = Door(tokens=self.tokens, faults=self.faults, account=self.account)
        self._progress = Progress()
        self._courier = Courier(behaviour=behaviour, progress=self._progress)
        self._beginnings: dict[str, asyncio.TimerHandle] = {}
        #: The API, for uvicorn; for any ASGI server as long as no connection is to be cut.
        self.app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    @property
    def progress(self) -> Progress:
        """How far the posting is, at this moment."""
        return replace(self._progress)

    @property
    def campaigns(self) -> Mapping[str, SimulatedCampaign]:
        """The ledger: every accepted campaign by tracking id, in order, without deleted ones."""
        return MappingProxyType(self.account.campaigns)

    @property
    def launches(self) -> Mapping[str, Launches]:
        """The ledger by campaign name: how often each was asked for, and how often accepted."""
        return MappingProxyType(self.account.launches)

    def hold(self) -> None:
        """Post no callback more until `release`; those that are under way still go out."""
        self._courier.hold()

    def release(self) -> None:
        """Post the callbacks that were held back, and hold none back any more."""
        self._courier.release()

    async def drained(self) -> None:
        """
        Wait until every callback of the campaigns that have begun is acknowledged or abandoned.

        One that is still Scheduled does not count, what is held back does. Also returns when the
        simulator is closed.

        Raises:
            ExceptionGroup: posting broke down because of a defect of the simulator.
        """
        await self._courier.drained()

    async def aclose(self) -> None:
        """Stop posting, forget scheduled beginnings, end slow answers. May be called twice."""
        self._door.close()
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
        token = self._door.open(Endpoint.TOKEN, self.tokens.issue)
        return [
            Route("/oauth/token", token, methods=["POST"]),
            *(
                Route(path, self._door.guarded(endpoint, answering), methods=[method])
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
            self._begin_later(campaign)
        else:
            await self._begin_now(campaign)
        return JSONResponse(campaign_answer(campaign))

    async def _delete_campaign(self, request: Request) -> Response:
        campaign = self.campaigns.get(request.path_params["tracking_id"])
        if campaign is None:
            return NO_CAMPAIGN.answer()
        if campaign.state != SCHEDULED:
            return NOT_SCHEDULED.answer()
        self._beginnings.pop(campaign.tracking_id).cancel()
        self.account.delete(campaign)
        return Response(status_code=204)

    async def _track_message(self, request: Request) -> Response:
        tracking_id = request.path_params["tracking_id"]
        campaign = self.account.find_campaign_of(tracking_id)
        if campaign is None:
            return NO_MESSAGE.answer()
        return JSONResponse(tracking_item(campaign, campaign.messages[tracking_id]))

    async def _track_campaign(self, request: Request) -> Response:
        campaign = self.campaigns.get(request.path_params["tracking_id"])
        if campaign is None:
            return NO_CAMPAIGN.answer()
        return tracking_page(campaign, request.query_params)

    async def _begin_now(self, campaign: SimulatedCampaign) -> None:
        early = EARLY_CALLBACKS if self._behaviour.before_answer else 0
        postings = self._plan(campaign)
        self._courier.take(postings[early:])
        await self._courier.take_now(postings[:early])

    def _begin_later(self, campaign: SimulatedCampaign) -> None:
        def begin() -> None:
            del self._beginnings[campaign.tracking_id]
            campaign.state = QUEUED
            self._courier.take(self._plan(campaign))

        at = campaign.request.scheduled_at or campaign.accepted_at
        self._beginnings[campaign.tracking_id] = asyncio.get_running_loop().call_later(
            (at - _now()).total_seconds(), begin
        )

    def _plan(self, campaign: SimulatedCampaign) -> list[Posting]:
        """Write the story of *campaign* into the ledger; what is to be posted of it, in order."""
        rng = Random(f"{self._behaviour.seed}/{campaign.number}")  # noqa: S311 (a story, no secret)
        for message in messages_of(campaign.request, started_at=_now(), rng=rng):
            self.account.add_message(campaign, message)
        postings = postings_of(campaign, behaviour=self._behaviour, rng=rng)
        self._progress.lost += len(campaign.lost_events)
        return postings


def _now() -> datetime:
    """The present instant in whole milliseconds, as the wire has them."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
