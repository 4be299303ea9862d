"""The examples of the document: one delivered message, its campaign, and a reply to it."""

from typing import Any, Final

from app.api.campaign_json import LONG_MEMBERS
from app.api.document.operations import operations_in
from app.domain.explanations import STATUSES
from app.domain.status import Status

_MESSAGE_ID: Final = "0a047b46-a4dd-4ca8-b817-a6a134dd1234"
_UNKNOWN_ID: Final = "7c1f3d52-6c0e-4d0b-93b8-0c5d5f6a2f10"
_CAMPAIGN_ID: Final = "ef03cac2-c03c-4554-b1ce-aabdc1dfc186"
_OUR_ID: Final = "01982f6e-5b1c-7c3a-9d35-0c9f6b1e2a47"
_NUMBER: Final = "+306900000000"
_SENDER: Final = "Acme"
_ERASURE_ID: Final = "019a31f0-6c1e-7d3a-8f11-2b7c9d0e4a55"
_CREATED: Final = "2026-07-05T10:28:44.566Z"
_DELIVERED: Final = "2026-07-05T10:28:46.996Z"
_SEEN: Final = "2026-07-05T10:31:02.120Z"
_RECEIVED: Final = "2026-07-05T10:28:47.113402Z"
_CURSOR: Final = "f1-1-7431-1042-3a7f09c2"

_MESSAGE: Final = {
    "trackingId": _MESSAGE_ID,
    "campaignTrackingId": _CAMPAIGN_ID,
    "to": _NUMBER,
    "from": _SENDER,
    "country": "GR",
    "label": "spring",
    "status": "DELIVERED",
    "providerStatus": "DELIVERED",
    "detailedStatus": "Delivered",
    "description": "The message was delivered to its recipient.",
    "statusAt": _DELIVERED,
    "final": True,
    "overdue": False,
    "queuedAt": _CREATED,
    "sentAt": None,
    "deliveredAt": _DELIVERED,
    "seenAt": None,
    "failedAt": None,
    "price": "0.035",
    "createdAt": _CREATED,
    "updatedAt": _RECEIVED,
}
_DELIVERED_MEANS: Final = {"text": STATUSES[Status.DELIVERED].text, "action": None}
_EVENT: Final = {
    name: _MESSAGE[name] for name in ("status", "providerStatus", "detailedStatus", "description")
}
_AWAITED: Final = dict.fromkeys(_MESSAGE) | {
    "campaignTrackingId": _CAMPAIGN_ID,
    "to": "+306900000001",
    "status": "AWAITING",
    "final": False,
    "overdue": False,
}
_REQUEST_BODY: Final = {
    "text": "Our spring sale has begun.",
    "action": {"caption": "See it", "targetUrl": "https://shop.example/spring"},
}
_WARNING: Final = {
    "field": "ttl",
    "code": "ttl-short",
    "message": "Viber's web clients need at least 300 seconds",
}
_COUNTS: Final = {status.value: 0 for status in Status} | {"DELIVERED": 1}
_PROGRESS: Final = {
    "campaignStatus": "Running",
    "messageStatuses": {"Delivered": 1, "Queued": 1},
    "totalRecipients": 2,
    "name": "Spring sale",
    "occurredAt": None,
    "receivedAt": _RECEIVED,
}
_PROGRESS_ITEM: Final = {**_PROGRESS, "id": "17"}
_CAMPAIGN: Final = {
    "id": _OUR_ID,
    "trackingId": _CAMPAIGN_ID,
    "submission": "launched",
    "submissionReason": None,
    "billing": "promotional",
    "type": "Viber",
    "state": "Queued",
    "createdAt": _CREATED,
    "senderInfoTrackingId": "5d7c1b0e-2f7a-4d57-8a55-6a6c4f3c9e21",
    "senderInfoName": _SENDER,
    "to": [_NUMBER, "+306900000001"],
    "contacts": None,
    "groups": [],
    "campaignName": "Spring sale",
    "scheduledDate": None,
    "body": _REQUEST_BODY,
    "ttl": 120,
    "cost": "0.07",
    "totalMessages": 2,
    "viberAnalysis": {"numberOfRecipients": 2, "recipientsPerCountry": {"GR": 2}},
    "callbackUrl": "https://receiver.example/callbacks/***/status",
    "inboundUrl": "https://receiver.example/callbacks/***/inbound",
    "label": "spring",
    "isSessionMessage": False,
    "respectQuietHours": False,
    "counts": _COUNTS,
    "total": 1,
    "finalCount": 1,
    "awaiting": 1,
    "finished": False,
    "finishedAt": None,
    "overdue": 0,
    "firstEventAt": _CREATED,
    "lastEventAt": _DELIVERED,
    "progress": _PROGRESS,
    "warnings": [_WARNING],
    "updatedAt": _RECEIVED,
}
_CAMPAIGN_SUMMARY: Final = {
    name: value for name, value in _CAMPAIGN.items() if name not in LONG_MEMBERS
}
_REPLY: Final = {
    "id": "1043",
    "from": _NUMBER,
    "to": _SENDER,
    "message": "Until when?",
    "media": None,
    "filename": None,
    "sentAt": _SEEN,
    "receivedAt": "2026-07-05T10:31:02.480117Z",
    "campaignTrackingId": _CAMPAIGN_ID,
    "campaignName": "Spring sale",
    "referenceTrackingId": _MESSAGE_ID,
    "label": "spring",
}
_STATUS_DATA: Final = {
    **_EVENT,
    "to": _NUMBER,
    "price": "0.035",
    "changed": True,
    "reason": "advanced",
    "messageStatus": "SEEN",
}
_STATUS_ITEM: Final = {
    "id": "1042",
    "type": "message.status",
    "trackingId": _MESSAGE_ID,
    "campaignTrackingId": _CAMPAIGN_ID,
    "occurredAt": _DELIVERED,
    "receivedAt": _RECEIVED,
    "source": "callback",
    "data": _STATUS_DATA,
}
_INBOUND_ITEM: Final = {
    "id": "1043",
    "type": "message.inbound",
    "trackingId": _MESSAGE_ID,
    "campaignTrackingId": _CAMPAIGN_ID,
    "occurredAt": _SEEN,
    "receivedAt": _REPLY["receivedAt"],
    "source": "callback",
    "data": _REPLY,
}
_OVERDUE_DATA: Final = {"to": _NUMBER, "status": "QUEUED"}
_CAMPAIGN_DATA: Final = {
    "campaignId": _OUR_ID,
    "campaignName": "Spring sale",
    "label": "spring",
    "submissionReason": None,
}
_FINISHED_DATA: Final = {**_CAMPAIGN_DATA, "total": 2, "finalCount": 1, "overdue": 1}
_RECIPIENT_KEY: Final = "0f6c2d0f5a1e4be29b0c7a8d3e5f6172"
_ERASED_DATA: Final = {
    "erasureId": _ERASURE_ID,
    "recipientKey": _RECIPIENT_KEY,
    "earlierRecipientKeys": [],
}


def _notice(number: int, kind: str, data: object, **ids: str) -> dict[str, Any]:
    return {
        "id": str(number),
        "type": kind,
        "trackingId": None,
        "campaignTrackingId": None,
        "occurredAt": _RECEIVED,
        "receivedAt": _RECEIVED,
        "source": "service",
        "data": data,
        **ids,
    }


_CAMPAIGN_IDS: Final = {"campaignTrackingId": _CAMPAIGN_ID}
_LAUNCHED_ITEM: Final = _notice(1041, "campaign.launched", _CAMPAIGN_DATA, **_CAMPAIGN_IDS)
_NOTICES: Final[tuple[dict[str, Any], ...]] = (
    _LAUNCHED_ITEM,
    _notice(
        1044,
        "campaign.rejected",
        _CAMPAIGN_DATA | {"submissionReason": "The balance of the Routee account is too low."},
    ),
    _notice(1045, "campaign.cancelled", _CAMPAIGN_DATA, **_CAMPAIGN_IDS),
    _notice(1046, "message.overdue", _OVERDUE_DATA, trackingId=_MESSAGE_ID, **_CAMPAIGN_IDS),
    _notice(1047, "campaign.finished", _FINISHED_DATA, **_CAMPAIGN_IDS),
    _notice(1048, "recipient.erased", _ERASED_DATA),
)
_ITEMS: Final[list[dict[str, Any]]] = [_STATUS_ITEM, _INBOUND_ITEM, *_NOTICES]
#: By the type of the item.
FEED_EXAMPLES: Final[dict[str, dict[str, Any]]] = {item["type"]: item for item in _ITEMS}
_KEY: Final = {"number": _NUMBER, "recipientKey": _RECIPIENT_KEY}
_HISTORY_ITEM: Final = {
    "id": "1042",
    **_EVENT,
    "occurredAt": _DELIVERED,
    "receivedAt": _RECEIVED,
    "source": "callback",
    "changed": True,
    "reason": "advanced",
}
_REQUEST: Final = {
    "senderInfoTrackingId": _CAMPAIGN["senderInfoTrackingId"],
    "to": _CAMPAIGN["to"],
    "campaignName": "Spring sale",
    "body": _REQUEST_BODY,
    "ttl": 120,
    "label": "spring",
}
_STATUS_CALLBACK: Final = {
    "trackingId": _MESSAGE_ID,
    "campaignTrackingId": _CAMPAIGN_ID,
    "to": _NUMBER,
    "from": _SENDER,
    "groups": [],
    "country": "GR",
    "status": {
        "name": "DELIVERED",
        "reason": {name: _MESSAGE[name] for name in ("detailedStatus", "description")},
        "updatedDate": _DELIVERED,
    },
    "body": {"text": _REQUEST_BODY["text"], "imageURL": None, "viberAction": None},
    "ttl": 120,
    "label": "spring",
    "inboundUrl": "https://receiver.example/callbacks/a-token/inbound",
    "applicationName": "default",
    "price": 0.035,
    "direction": "Outbound",
    "originatingService": "Viber",
    "createdAt": _CREATED,
}
_INBOUND_CALLBACK: Final = {
    "from": _NUMBER,
    "to": _SENDER,
    "message": "Until when?",
    "sentDate": _SEEN,
    "campaignName": "Spring sale",
    "campaignTrackingId": _CAMPAIGN_ID,
    "referenceTrackingId": _MESSAGE_ID,
    "direction": "Inbound",
    "media": None,
    "filename": None,
    "label": "spring",
}
_PROGRESS_CALLBACK: Final = {
    "trackingId": _CAMPAIGN_ID,
    **{name: _PROGRESS[name] for name in ("name", "totalRecipients", "campaignStatus")},
    "messageStatuses": _PROGRESS["messageStatuses"],
    "callbackInfo": {
        "url": "https://receiver.example/callbacks/a-token/status",
        "strategy": "OnChange",
    },
}
_BODY: Final = {
    "id": "17",
    "reason": "not-json",
    "receivedAt": _RECEIVED,
    "lastReceivedAt": "2026-07-05T10:29:17.301544Z",
    "times": 2,
    "path": "/callbacks/***/status",
    "campaignId": None,
    "contentType": "",
    "contentEncoding": "",
    "size": 62,
    "preview": '{"trackingId":"0a047b46-a4dd-4ca8-b817-a6a134dd1234","status":',
    "replayedAt": _SEEN,
    "replayOutcome": "not-stored",
    "replayReason": "not-json",
}
_PROBLEM_ERROR: Final = {"field": "limit", "message": "Input should be less than or equal to 1000"}


def _page(*items: object) -> dict[str, Any]:
    return {"items": list(items), "nextCursor": None}


_BACKLOG: Final = {"batches": 3, "bytes": 48213, "lagSeconds": 0.412}

#: By the name of the schema.
EXAMPLES: Final[dict[str, Any]] = {
    "Campaign": _CAMPAIGN,
    "CampaignSummary": _CAMPAIGN_SUMMARY,
    "CampaignAction": _REQUEST_BODY["action"],
    "CampaignBody": _REQUEST_BODY,
    "CampaignFile": {
        "fileName": "spring.pdf",
        "fileType": "pdf",
        "fileUrl": "https://shop.example/spring.pdf",
    },
    "CampaignMessage": _AWAITED,
    "CampaignMessages": _page(_MESSAGE, _AWAITED) | {"total": 1},
    "CampaignProgress": _PROGRESS,
    "CampaignProgressCallback": _PROGRESS_CALLBACK,
    "CampaignSummaryPage": _page(_CAMPAIGN_SUMMARY),
    "CampaignRequest": _REQUEST,
    "CampaignStatus": {"kind": "campaign", **_CAMPAIGN_SUMMARY},
    "CampaignVideo": {
        "videoUrl": "https://shop.example/spring.mp4",
        "videoThumbnail": "https://shop.example/spring.jpg",
        "fileSize": 12.5,
        "duration": 40,
    },
    "CampaignWarning": _WARNING,
    "Erasure": {
        "id": _ERASURE_ID,
        "state": "done",
        "number": None,
        "askedAt": _RECEIVED,
        "beganAt": _RECEIVED,
        "endedAt": _RECEIVED,
        "erasedBefore": False,
        "progress": None,
        "rows": {"campaigns": 1, "events": 2, "inbound_messages": 1, "messages": 1},
    },
    "CloudEvent": {
        "specversion": "1.0",
        "id": _STATUS_ITEM["id"],
        "source": "/v1/events",
        "type": _STATUS_ITEM["type"],
        "time": _DELIVERED,
        "subject": _MESSAGE_ID,
        "datacontenttype": "application/json",
        "data": _STATUS_ITEM,
    },
    "FeedData": _STATUS_DATA,
    "FeedItem": _STATUS_ITEM,
    "FeedPage": {"items": [_LAUNCHED_ITEM, _STATUS_ITEM, _INBOUND_ITEM], "nextCursor": _CURSOR},
    "Health": {"result": "ready"},
    "Ready": {"result": "ready", "buffer": _BACKLOG},
    "BufferBacklog": _BACKLOG,
    "HistoryItem": _HISTORY_ITEM,
    "HistoryItemPage": _page(_HISTORY_ITEM),
    "InboundCallback": _INBOUND_CALLBACK,
    "InboundMessage": _REPLY,
    "InboundMessagePage": _page(_REPLY),
    "Lookup": {"trackingIds": [_MESSAGE_ID, _UNKNOWN_ID]},
    "LookupAnswer": {"items": [_MESSAGE], "notFound": [_UNKNOWN_ID]},
    "Message": _MESSAGE | {"explanation": _DELIVERED_MEANS},
    "MessageExplanation": _DELIVERED_MEANS,
    "MessagePage": _page(_MESSAGE),
    "MessageStatus": {"kind": "message", **_MESSAGE},
    "Problem": {
        "type": "urn:routee-receiver:problem:invalid-request",
        "title": "The request is not valid",
        "status": 422,
        "errors": [_PROBLEM_ERROR],
    },
    "ProblemError": _PROBLEM_ERROR,
    "ProgressItem": _PROGRESS_ITEM,
    "ProgressItemPage": _page(_PROGRESS_ITEM),
    "QuarantinedBody": _BODY,
    "QuarantinedBodyPage": _page(_BODY),
    "Receipt": {"result": "stored"},
    "RecipientKey": _KEY,
    "RecipientKeys": {"items": [_KEY]},
    "RecipientNumbers": {"numbers": [_NUMBER]},
    "Reconciliation": {
        "campaignId": _CAMPAIGN["id"],
        "campaignTrackingId": _CAMPAIGN_ID,
        "state": "done",
        "outcome": "compared",
        "askedAt": _RECEIVED,
        "beganAt": _RECEIVED,
        "endedAt": _RECEIVED,
        "nextAt": _RECEIVED,
        "pages": 1,
        "messages": 2,
        "stored": 1,
        "quarantined": 0,
        "unusable": 0,
    },
    "Resolution": {"submission": "launched", "trackingId": _CAMPAIGN_ID},
    "StatusCallback": _STATUS_CALLBACK,
}

_PARAMETERS: Final[dict[str, Any]] = {
    "token": "a-token-of-32-characters-or-more",
    "trackingId": _MESSAGE_ID,
    "campaignTrackingId": _CAMPAIGN_ID,
    "referenceTrackingId": _MESSAGE_ID,
    "id": _REPLY["id"],
    "to": _NUMBER,
    "from": _NUMBER,
    "label": "spring",
    "name": "Spring sale",
    "updatedAfter": _CREATED,
    "createdSince": _CREATED,
    "createdBefore": _SEEN,
    "receivedSince": _CREATED,
    "receivedBefore": _SEEN,
    "since": _CREATED,
    "until": _SEEN,
    "reason": "not-json",
    "path": "status",
    "format": "csv",
    "cells": "exact",
    "after": _CURSOR,
    "limit": 100,
    "Idempotency-Key": "order-4711",
    "number": _NUMBER,
    "If-None-Match": 'W/"5d41402abc4b2a76b9719d911017c592"',
}


def add_examples(document: dict[str, Any]) -> None:
    """Add examples to all schemas of objects, and to the parameters."""
    components = document["components"]
    for name, schema in components["schemas"].items():
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    components["examples"] = {
        name: {"value": EXAMPLES[name]}
        for name in ("StatusCallback", "InboundCallback", "CampaignProgressCallback")
    }
    for _, path, node in operations_in(document):
        examples = _PARAMETERS
        if "/campaigns/{trackingId}" in path:
            examples = _PARAMETERS | {"trackingId": _CAMPAIGN_ID}
        for parameter in node.get("parameters", ()):
            if parameter["name"] in examples:
                example = examples[parameter["name"]]
                parameter["example"] = [example] if _takes_many(parameter["schema"]) else example


def _takes_many(schema: dict[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in schema.get("anyOf", [schema]))
