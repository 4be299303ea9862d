"""Asking Routee for a campaign, so that it is paid for once and never forgotten."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from app.db.database import Database
from app.db.launches import (
    Intent,
    NameTaken,
    Outcome,
    add_intent,
    settle_launched,
    settle_otherwise,
)
from app.domain.callback_token import CallbackTokens
from app.domain.campaign import Submission
from app.errors import (
    CampaignNameInUse,
    InvalidRequest,
    LaunchingNotConfigured,
    RouteeRefused,
    RouteeUnavailable,
)
from app.kit.uuid7 import uuid7
from app.routee.client import RouteeClient
from app.routee.rules import examine, generated_name, sendable
from app.routee.wire import serialise

log = structlog.get_logger()

#: Longer than a call to Routee may take, so that a living owner is never taken for a dead one.
LEASE: Final = timedelta(seconds=60)
_NAME_IN_USE: Final = "409009003"


class Launching:
    """Launches campaigns through *client*, whose callbacks come back to *public_url*."""

    def __init__(
        self,
        database: Database,
        client: RouteeClient,
        tokens: CallbackTokens,
        *,
        public_url: str,
        missing_settings: tuple[str, ...],
    ) -> None:
        self._database = database
        self._client = client
        self._tokens = tokens
        self._public_url = public_url
        self._missing_settings = missing_settings

    async def launch(self, request: Mapping[str, Any]) -> UUID:
        """
        Ask Routee for the campaign that *request*, a body in Routee's words, describes.

        Returns our id of the campaign, which is launched or, when the call went unanswered,
        unconfirmed.

        Raises:
            LaunchingNotConfigured: settings are missing.
            InvalidRequest: Routee would refuse it; nothing was sent.
            CampaignNameInUse: the name is taken, here or at Routee.
            RouteeRefused: Routee did refuse it.
            RouteeUnavailable: it was not sent.
        """
        if self._missing_settings:
            raise LaunchingNotConfigured(f"Not set: {', '.join(self._missing_settings)}.")
        # Reading a thousand numbers takes long enough to delay callbacks.
        examination = await asyncio.to_thread(examine, request, now=datetime.now(UTC))
        if examination.faults:
            raise InvalidRequest(faults=examination.faults)
        campaign_id = uuid7()
        given_name = request.get("campaignName")
        intent = Intent(
            name=given_name or generated_name(campaign_id),
            name_generated=given_name is None,
            label=request.get("label"),
            billing=examination.billing,
            request=serialise(request),
            warnings=[asdict(warning) for warning in examination.warnings],
        )
        await self._commit_to(campaign_id, intent)
        await self._ask(campaign_id, self._body(campaign_id, request, intent.name))
        return campaign_id

    async def _commit_to(self, campaign_id: UUID, intent: Intent) -> None:
        """From here on the campaign is known, whatever happens to this process."""
        try:
            await add_intent(self._database, campaign_id, intent, lease=LEASE)
        except NameTaken:
            raise _name_in_use(intent.name) from None

    def _body(
        self, campaign_id: UUID, request: Mapping[str, Any], name: str
    ) -> Mapping[str, object]:
        base = f"{self._public_url}/callbacks/{self._tokens.for_campaign(campaign_id)}"
        return sendable(
            request, name=name, callback_url=f"{base}/status", inbound_url=f"{base}/inbound"
        )

    async def _ask(self, campaign_id: UUID, body: Mapping[str, object]) -> None:
        try:
            answer = await self._client.launch_campaign(body)
        except RouteeRefused as refusal:
            await self._settle(campaign_id, Submission.REJECTED, str(refusal))
            if refusal.code == _NAME_IN_USE:
                raise _name_in_use(str(body["campaignName"])) from refusal
            raise
        except RouteeUnavailable as silence:
            if silence.may_have_been_accepted:
                await self._settle(campaign_id, Submission.UNCONFIRMED, str(silence))
                return
            await self._settle(campaign_id, Submission.REJECTED, str(silence))
            raise
        log.info("campaign launched", campaign_id=str(campaign_id), tracking_id=answer.tracking_id)
        expected = answer.total_messages
        outcome = Outcome(
            answer=answer.body,
            tracking_id=answer.tracking_id,
            expected_messages=answer.number_of_recipients if expected is None else expected,
            cost=answer.cost,
        )
        await settle_launched(self._database, campaign_id, outcome)

    async def _settle(self, campaign_id: UUID, submission: Submission, reason: str) -> None:
        log.warning(
            "campaign not launched",
            campaign_id=str(campaign_id),
            submission=submission.value,
            reason=reason,
        )
        await settle_otherwise(self._database, campaign_id, submission, reason)

    async def close(self) -> None:
        """Close the connections to Routee."""
        await self._client.aclose()


def _name_in_use(name: str) -> CampaignNameInUse:
    return CampaignNameInUse(f"A campaign named {name!r} exists already. Choose another name.")
