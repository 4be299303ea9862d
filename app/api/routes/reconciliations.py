"""Reconciliations: comparing a campaign with Routee's tracking, and what came of it."""

from enum import StrEnum
from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.parts import Admin, PartsDep, Reader, TrackingId
from app.api.wire import Instant, Wire
from app.db.campaigns import find_campaign
from app.db.reconcile import Reconciliation, find_reconciliation
from app.domain.reconcile import Outcome
from app.errors import NotFound

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])


class ReconciliationState(StrEnum):
    """How far a comparison with Routee's tracking is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class ReconciliationOut(Wire):
    """The comparison of a campaign with Routee's tracking."""

    campaign_id: str
    campaign_tracking_id: str | None
    state: ReconciliationState
    outcome: Outcome | None
    asked_at: Instant
    began_at: Instant | None
    ended_at: Instant | None
    next_at: Instant | None
    pages: int
    messages: int
    stored: int
    quarantined: int
    unusable: int


@router.post(
    "/{tracking_id}/reconcile",
    summary="Compare a campaign with Routee's tracking",
    status_code=HTTPStatus.ACCEPTED,
)
async def reconcile_campaign(
    tracking_id: TrackingId, parts: PartsDep, caller: Admin, response: Response
) -> ReconciliationOut:
    """
    Ask for what Routee knows of a campaign to be read, and for what is missing here to be stored.

    Routee is asked page by page afterwards, at a limited rate: `Location` is where the outcome can
    be read. Asked for again while it waits or runs, it is one comparison. Campaigns in which final
    statuses are missing for long are compared without being asked for.
    """
    asked_by = f"API key {caller.name} ({caller.id})"
    asked = await parts.reconciling.ask(parts.database, tracking_id, asked_by=asked_by)
    response.headers["Location"] = f"/v1/campaigns/{asked.campaign_id}/reconciliation"
    return _reconciliation_out(asked)


@router.get(
    "/{tracking_id}/reconciliation", summary="What came of comparing a campaign with Routee"
)
async def get_reconciliation(
    tracking_id: TrackingId, parts: PartsDep, _: Reader
) -> ReconciliationOut:
    """
    The last comparison of the campaign with Routee's tracking, or the one that waits or runs.

    404 if it was never compared.
    """
    campaign = await find_campaign(parts.database, tracking_id)
    if campaign is None:
        raise NotFound(f"There is no campaign {tracking_id!r}.")
    found = await find_reconciliation(parts.database, campaign.id)
    if found is None:
        raise NotFound(f"The campaign {tracking_id!r} was never compared with Routee's tracking.")
    return _reconciliation_out(found)


def _reconciliation_out(found: Reconciliation) -> ReconciliationOut:
    counts = found.counts
    return ReconciliationOut(
        campaign_id=str(found.campaign_id),
        campaign_tracking_id=found.tracking_id,
        state=_state(found),
        outcome=found.outcome,
        asked_at=found.asked_at,
        began_at=found.began_at,
        ended_at=found.ended_at,
        next_at=found.next_at if found.ended_at is not None else None,
        pages=counts["pages"],
        messages=counts["messages"],
        stored=counts["missing"],
        quarantined=counts["quarantined"],
        unusable=counts["foreign"] + counts["unreadable"] + counts["failed"],
    )


def _state(found: Reconciliation) -> ReconciliationState:
    if found.ended_at is not None:
        return ReconciliationState.DONE
    if found.began_at is not None:
        return ReconciliationState.RUNNING
    return ReconciliationState.WAITING
