"""One attempt to launch a campaign at Routee, and what it settles."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from app.db.database import Database
from app.db.launching.launches import OpenLaunch, Outcome, settle_launched, settle_open
from app.domain.callback_token import CallbackTokens
from app.domain.campaign import Submission
from app.domain.settlement import AttemptOutcome, Settlement, pause_before, settlement_of
from app.errors import RouteeError, RouteeRefused, RouteeUnavailable
from app.observability import tracing
from app.observability.metrics import Metrics, launch_outcome
from app.routee.client import RouteeClient
from app.routee.launch_answer import LaunchAnswer
from app.routee.refusals import Meaning
from app.routee.rules import sendable
from app.routee.wire import parse
from app.services.erasure.erased_recipients import ErasedRecipients

log = structlog.get_logger()

#: Longer than `RouteeClient` lets a launch take, so that a living owner keeps its launch; and short
#: enough that a launch whose owner died is taken up within a minute.
LEASE: Final = timedelta(seconds=50)

#: Longer waits that Routee asks for are cut to this.
_MAX_PAUSE: Final = timedelta(hours=1)


class Attempt(NamedTuple):
    """One call to Routee for a campaign."""

    campaign_id: UUID
    name: str
    name_generated: bool
    #: Which attempt it is, counted from 1.
    number: int


class Attempts:
    """Launches campaigns through *client*; their callbacks come to *public_url*."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        database: Database,
        client: RouteeClient,
        tokens: CallbackTokens,
        *,
        public_url: str,
        erased: ErasedRecipients,
        metrics: Metrics | None = None,
    ) -> None:
        self._launches = (metrics or Metrics()).launches
        self._erased = erased
        self._database = database
        self._client = client
        self._tokens = tokens
        self._public_url = public_url

    async def make(self, attempt: Attempt, request: Mapping[str, Any]) -> RouteeError | None:
        """
        Ask once and settle what can be settled.

        Returns:
            Routee's refusal, if it has made the campaign rejected.
        """
        with tracing.work(
            "launch campaign", **{"routee_receiver.campaign": str(attempt.campaign_id)}
        ):
            return await self._make(attempt, request)

    async def _make(self, attempt: Attempt, request: Mapping[str, Any]) -> RouteeError | None:
        reply, error, answer = await self._ask(self._body(attempt, request))
        self._launches.labels(launch_outcome(reply)).inc()
        settlement = settlement_of(
            reply, repeated=attempt.number > 1, name_generated=attempt.name_generated
        )
        settled = await self._settle(attempt, settlement, error, answer)
        return error if settled and settlement.submission is Submission.REJECTED else None

    async def make_again(self, launch: OpenLaunch) -> None:
        """Ask once more for a launch that may have been accepted."""
        attempt = Attempt(launch.campaign_id, launch.name, launch.name_generated, launch.attempts)
        await self.make(attempt, parse(launch.request))

    def _body(self, attempt: Attempt, request: Mapping[str, Any]) -> Mapping[str, object]:
        token = self._tokens.for_campaign(attempt.campaign_id)
        base = f"{self._public_url}/callbacks/{token}"
        return sendable(
            request,
            name=attempt.name,
            callback_url=f"{base}/status",
            inbound_url=f"{base}/inbound",
        )

    async def _ask(
        self, body: Mapping[str, object]
    ) -> tuple[AttemptOutcome, RouteeError | None, LaunchAnswer | None]:
        try:
            return AttemptOutcome.ACCEPTED, None, await self._client.launch_campaign(body)
        except RouteeRefused as refusal:
            in_use = refusal.meaning == Meaning.CAMPAIGN_NAME_IN_USE
            return AttemptOutcome.NAME_IN_USE if in_use else AttemptOutcome.REFUSED, refusal, None
        except RouteeUnavailable as silence:
            accepted = silence.may_have_been_accepted
            return AttemptOutcome.UNANSWERED if accepted else AttemptOutcome.NOT_SENT, silence, None

    async def _settle(
        self,
        attempt: Attempt,
        settlement: Settlement,
        error: RouteeError | None,
        answer: LaunchAnswer | None,
    ) -> bool:
        """Store the outcome; False if it is settled already, or a later attempt will settle it."""
        submission, ask_again = settlement
        say = log.warning if submission is Submission.UNCONFIRMED else log.info
        say(
            "attempt to launch a campaign",
            campaign_id=str(attempt.campaign_id),
            attempt=attempt.number,
            submission=submission.value,
            reason=None if error is None else str(error),
        )
        if self._erased is not None:
            await self._erased.refresh(self._database)
        if answer is not None:
            outcome = await self._screened(_outcome(answer))
            if not await settle_launched(self._database, attempt.campaign_id, outcome):
                log.warning(
                    "the trackingId answered belongs to another campaign, or is a second one",
                    campaign_id=str(attempt.campaign_id),
                    tracking_id=answer.tracking_id,
                )
            return True
        return await settle_open(
            self._database,
            attempt.campaign_id,
            submission,
            attempt=attempt.number,
            reason=None
            if submission is Submission.LAUNCHED
            else self._erased.text_without_erased(str(error)),
            next_attempt_in=_pause(attempt, error) if ask_again else None,
            # Nothing was sent, so the caller may repeat the request with the same key.
            forget_key=isinstance(error, RouteeUnavailable) and submission is Submission.REJECTED,
        )

    async def _screened(self, outcome: Outcome) -> Outcome:
        """
        *outcome* with erased recipients pseudonymised.

        Only Routee's answer names the numbers of contacts and groups.
        """
        if not self._erased:
            return outcome
        answer = await asyncio.to_thread(self._erased.without_erased, outcome.answer)
        return outcome._replace(answer=answer)


def _pause(attempt: Attempt, error: RouteeError | None) -> timedelta | None:
    """How long to wait for the next attempt; None if there is none."""
    ours = pause_before(attempt.number)
    asked_for = timedelta(seconds=(error and error.retry_after_seconds) or 0)
    return None if ours is None else max(ours, min(asked_for, _MAX_PAUSE))


def _outcome(answer: LaunchAnswer) -> Outcome:
    total = answer.total_messages
    return Outcome(
        answer=answer.body,
        tracking_id=answer.tracking_id,
        expected_messages=answer.number_of_recipients if total is None else total,
        cost=answer.cost,
    )
