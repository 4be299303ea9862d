"""
Campaigns as JSON.

The model `routes.campaigns.CampaignOut` describes the same members in the OpenAPI document; a test
compares them. A list has a thousand campaigns, for which the model takes too long.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from app.api.wire import iso, iso_or_none, plain_or_none
from app.db.campaigns import NO_TIMES, CampaignTimes
from app.db.tables import CampaignProgressRow, CampaignRow
from app.routee.campaign_fields import passed_on
from app.routee.wire import serialise
from app.services.exports.columns import count_members

#: The order of the members.
CAMPAIGN_MEMBERS: Final = (
    "id", "trackingId", "submission", "submissionReason", "billing", "type", "state", "createdAt",
    "senderInfoTrackingId", "senderInfoName", "to", "contacts", "groups", "campaignName",
    "scheduledDate", "body", "ttl", "cost", "totalMessages", "viberAnalysis", "callbackUrl",
    "inboundUrl", "label", "isSessionMessage", "respectQuietHours", "counts", "total", "finalCount",
    "awaiting", "finished", "finishedAt", "overdue", "firstEventAt", "lastEventAt", "progress",
    "warnings", "updatedAt",
)  # fmt: skip
#: Those that may have an entry for each recipient, or a long text. Only the answer to a launch, and
#: callers that ask for them, get them.
LONG_MEMBERS: Final = ("to", "contacts", "groups", "body", "viberAnalysis")


def campaign_json(
    row: CampaignRow,
    counted: Mapping[str, int],
    progress: CampaignProgressRow | None,
    times: CampaignTimes = NO_TIMES,
    *,
    left_out: Collection[str] = (),
    **members: str,
) -> bytes:
    """
    A stored campaign with its newest *progress*, and the *times* of its events.

    It is without the members *left_out*, and has further *members* at the end.
    """
    # Of the others each costs little, and there is a decoder for each set of members.
    unread = [name for name in LONG_MEMBERS if name in left_out]
    shown: dict[str, Any] = passed_on(request=row.request, answer=row.answer, left_out=unread)
    shown |= {
        "id": str(row.id),
        "trackingId": row.tracking_id,
        "submission": row.submission,
        "submissionReason": row.submission_reason,
        "billing": row.billing,
        "campaignName": row.name,
        "cost": plain_or_none(row.cost),
        **count_members(
            counted,
            row.expected_messages,
            submission=row.submission,
            finished_at=row.finished_at,
        ),
        "finishedAt": iso_or_none(row.finished_at),
        "firstEventAt": iso_or_none(times.first_event_at),
        "lastEventAt": iso_or_none(times.last_event_at),
        "progress": None if progress is None else _progress(progress),
        "warnings": row.warnings,
        "updatedAt": iso(row.updated_at),
    }
    in_order = {name: shown[name] for name in CAMPAIGN_MEMBERS if name not in left_out}
    return serialise(in_order | members)


def progress_json(row: CampaignProgressRow, **raw: str | None) -> bytes:
    """One report in the history of a campaign, with the member `raw` if it is given."""
    return serialise({**_progress(row), "id": str(row.id), **raw})


def _progress(row: CampaignProgressRow) -> dict[str, Any]:
    return {
        "campaignStatus": row.status,
        "messageStatuses": row.message_statuses,
        "totalRecipients": row.total_recipients,
        "name": row.name,
        "occurredAt": iso_or_none(row.reported_at),
        "receivedAt": iso(row.received_at),
    }
