"""Launching a campaign: the request is checked, paid for once, and never forgotten."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from app.db.campaigns import get_campaign
from app.db.database import Database
from app.db.launching.launches import (
    Earlier,
    IdempotencyKey,
    Intent,
    NameTaken,
    add_intent,
    begin,
    drop_never_asked,
    find_earlier,
    forget_idempotency_keys,
    take_up,
)
from app.domain.campaign import Submission
from app.domain.masking import SecretMask
from app.errors import (
    CampaignNameInUse,
    DatabaseUnavailable,
    Fault,
    IdempotencyKeyReused,
    InvalidRequest,
    LaunchingNotConfigured,
    LaunchInProgress,
    LaunchRejected,
    RouteeRefused,
)
from app.kit.instants import parse_instant
from app.kit.uuid7 import uuid7
from app.routee.preflight import Prober, preflight
from app.routee.refusals import Meaning
from app.routee.rules import Caution, examine, generated_name
from app.routee.wire import canonical, serialise
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.launching.attempts import LEASE, Attempt, Attempts

log = structlog.get_logger()

IDEMPOTENCY_KEYS_KEPT: Final = timedelta(days=7)
_RETRY_AFTER_SECONDS: Final = 2
#: Without an answer of Routee's each takes up to 45 seconds. Concurrency keeps the queue short.
_RELAUNCHES_AT_ONCE: Final = 4


class Launched(NamedTuple):
    """A launch that a caller asked for, now or with the same key before."""

    campaign_id: UUID
    replayed: bool


class Launches:
    """Launches campaigns, from the caller's request to Routee's answer."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part)
        self,
        database: Database,
        attempts: Attempts,
        prober: Prober,
        *,
        missing_settings: tuple[str, ...],
        erased: ErasedRecipients,
        mask: SecretMask | None = None,
    ) -> None:
        self._erased = erased
        self._mask = mask or SecretMask()
        self._database = database
        self._attempts = attempts
        self._prober = prober
        self._missing_settings = missing_settings

    async def launch(
        self,
        request: object,
        *,
        api_key_id: UUID,
        idempotency_key: str | None = None,
        check_media: bool = False,
    ) -> Launched:
        """
        Ask Routee for the campaign that *request*, parsed JSON in Routee's words, describes.

        Afterwards the campaign is launched or, if the call went unanswered, unconfirmed. With
        *check_media* the hosts of its media are asked before.

        Raises:
            LaunchingNotConfigured: settings are missing.
            InvalidRequest: Routee would refuse it; nothing was sent.
            CampaignNameInUse: the name is taken, here or at Routee.
            IdempotencyKeyReused: the key stands for another request, which was not refused.
            LaunchInProgress: the same launch is under way, or the database became unavailable
                during this one.
            LaunchRejected: the key stands for a launch that was refused.
            RouteeRefused: Routee refused it.
            RouteeUnavailable: it was not sent.
        """
        if self._missing_settings:
            raise LaunchingNotConfigured(f"Not set: {', '.join(self._missing_settings)}.")
        await self._erased.refresh(self._database)
        names = [] if idempotency_key is None else self._erased.names_of_key(idempotency_key)
        # Examined later: an earlier request may break a rule by now, as when its date has passed.
        if names and (earlier := await find_earlier(self._database, api_key_id, names)) is not None:
            replayed = await self._replayed(earlier, request)
            if replayed is not None:
                return replayed
        intent, campaign_id, body = await self._examined(request, check_media=check_media)
        self._refuse_erased(body)
        key = IdempotencyKey(api_key_id, names[-1], _fingerprint(body)) if names else None
        earlier = await self._commit_to(campaign_id, intent, key)
        if earlier is not None:
            replayed = await self._replayed(earlier, body)
            if replayed is None:  # it was refused in this moment
                raise LaunchInProgress(retry_after_seconds=_RETRY_AFTER_SECONDS)
            return replayed
        attempt = Attempt(campaign_id, intent.name, intent.name_generated, number=1)
        try:
            if not await begin(self._database, campaign_id):
                raise LaunchRejected("It took too long to begin; nothing was sent.")
            refusal = await self._attempts.make(attempt, body)
        except DatabaseUnavailable:
            raise under_way(campaign_id) from None
        if refusal is None:
            return Launched(campaign_id, replayed=False)
        if isinstance(refusal, RouteeRefused) and refusal.meaning == Meaning.CAMPAIGN_NAME_IN_USE:
            raise _name_in_use(intent.name) from refusal
        raise refusal

    async def relaunch_due(self) -> None:
        """Repeat, a few at a time, the launches that are due or whose owner died."""
        await drop_never_asked(self._database)
        if self._missing_settings:
            return
        ends = await asyncio.gather(
            *(self._relaunch_each() for _ in range(_RELAUNCHES_AT_ONCE)),
            return_exceptions=True,
        )
        for error in filter(None, ends):
            raise error

    async def forget_old_keys(self) -> None:
        """Remove the idempotency keys that are too old."""
        await forget_idempotency_keys(self._database, older_than=IDEMPOTENCY_KEYS_KEPT)

    async def _relaunch_each(self) -> None:
        while (launch := await take_up(self._database, lease=LEASE)) is not None:
            await self._attempts.make_again(launch)

    def _refuse_erased(self, request: Mapping[str, Any]) -> None:
        """Refuse erased recipients in `to`; Routee alone knows those of contacts and groups."""
        faults = tuple(
            Fault(f"to[{position}]", "was erased at the recipient's request: remove it")
            for position, number in enumerate(request.get("to") or ())
            if self._erased.mark_of(number) is not None
        )
        if faults:
            raise InvalidRequest(faults=faults)

    def _refuse_secrets(self, request: Mapping[str, Any]) -> None:
        """Refuse our own secrets: recipients, or readers of the campaign, would see them."""
        faults = tuple(
            Fault(name, "has a secret of this service: take it out")
            for name, member in request.items()
            if self._mask.is_in(serialise(member).decode(errors="replace"))
        )
        if faults:
            raise InvalidRequest(faults=faults)

    async def _examined(
        self, request: object, *, check_media: bool
    ) -> tuple[Intent, UUID, Mapping[str, Any]]:
        # Reading a thousand numbers takes long enough to delay callbacks.
        examined = await asyncio.to_thread(examine, request, now=datetime.now(UTC))
        if examined.faults or not isinstance(request, dict):
            raise InvalidRequest(faults=examined.faults)
        await asyncio.to_thread(self._refuse_secrets, request)
        warnings: tuple[Caution, ...] = examined.warnings
        if check_media:
            media = await preflight(request, prober=self._prober)
            if media.faults:
                raise InvalidRequest(faults=media.faults)
            warnings += media.warnings
        campaign_id = uuid7()
        given_name = request.get("campaignName")
        intent = Intent(
            name=given_name or generated_name(campaign_id),
            name_generated=given_name is None,
            label=request.get("label"),
            billing=examined.billing,
            request=serialise(request),
            warnings=[asdict(warning) for warning in warnings],
            ttl_seconds=request.get("ttl"),
            scheduled_at=_instant(request.get("scheduledDate")),
        )
        return intent, campaign_id, request

    async def _commit_to(
        self, campaign_id: UUID, intent: Intent, key: IdempotencyKey | None
    ) -> Earlier | None:
        """Commit the intent: from here on the campaign survives this process."""
        try:
            return await add_intent(
                self._database, campaign_id, intent, lease=LEASE, idempotency_key=key
            )
        except NameTaken:
            raise _name_in_use(intent.name) from None

    async def _replayed(self, earlier: Earlier, request: object) -> Launched | None:
        """
        What *earlier* has become, for a caller that repeats it.

        None if it was refused and *request* is another one: nothing was spent, so that the key is
        free for a corrected request. The refused request itself is answered with its refusal.
        """
        campaign = await get_campaign(self._database, earlier.campaign_id)
        if earlier.fingerprint != _fingerprint(request):
            if campaign.submission == Submission.REJECTED:
                return None
            raise IdempotencyKeyReused
        if campaign.submission == Submission.LAUNCHING:
            raise _in_progress(earlier.campaign_id, "", retry_after_seconds=_RETRY_AFTER_SECONDS)
        if campaign.submission == Submission.REJECTED:
            raise LaunchRejected(campaign.submission_reason)
        return Launched(earlier.campaign_id, replayed=True)


def under_way(campaign_id: UUID) -> LaunchInProgress:
    """The answer for a launch whose outcome the database cannot give at the moment."""
    return _in_progress(campaign_id, "The launch has begun, and the database does not answer. ")


def _in_progress(
    campaign_id: UUID, reason: str, *, retry_after_seconds: int | None = None
) -> LaunchInProgress:
    location = f"/v1/campaigns/{campaign_id}"
    return LaunchInProgress(
        f"{reason}Do not launch it again: {location} will show what has become of it.",
        location=location,
        retry_after_seconds=retry_after_seconds,
    )


def _fingerprint(request: object) -> bytes:
    """A digest that does not depend on the order of members or on white space."""
    try:
        return hashlib.sha256(canonical(request)).digest()
    except (UnicodeEncodeError, RecursionError):  # such a request cannot have been launched
        return b""


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


def _name_in_use(name: str) -> CampaignNameInUse:
    return CampaignNameInUse(f"A campaign named {name!r} exists already. Choose another name.")
