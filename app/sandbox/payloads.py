"""The JSON documents of the simulated Routee: answers, callbacks and tracking."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from app.sandbox.ledger import (
    Occurrence,
    SimulatedCampaign,
    SimulatedMessage,
    SimulatedReply,
    StatusReason,
)
from app.sandbox.requests import GROUP_MEMBERS, PRICE, CampaignRequest, number_of_contact

#: The name of every sender.
SENDER_NAME = "Routeetest"

_APPLICATION_NAME = "default"

Document = dict[str, object]


def written(document: Document) -> bytes:
    """*document* as compact JSON in UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def iso(instant: datetime) -> str:
    """*instant*, which is in UTC, in Routee's form: with milliseconds and `Z`."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def campaign_answer(campaign: SimulatedCampaign) -> Document:
    """The answer to an accepted campaign (routee-contract, section 2)."""
    request = campaign.request
    return {
        "trackingId": campaign.tracking_id,
        "type": "Viber",
        "state": campaign.state,
        "createdAt": iso(campaign.accepted_at),
        "senderInfoTrackingId": request.sender_id,
        "senderInfoName": SENDER_NAME,
        "to": list(request.to),
        "groups": list(request.groups),
        "campaignName": request.name,
        "scheduledDate": iso(request.scheduled_at) if request.scheduled_at else None,
        "body": dict(request.body.document),
        "ttl": request.ttl_seconds,
        "cost": float(request.cost),
        "totalMessages": len(request.recipients),
        "viberAnalysis": _analysis(request),
        "callbackUrl": request.callback_url,
        "inboundUrl": request.inbound_url,
        "label": request.label,
        "isSessionMessage": request.is_session_message,
        "respectQuietHours": request.document.get("respectQuietHours", False),
    }


def status_callback(
    campaign: SimulatedCampaign, message: SimulatedMessage, occurrence: Occurrence
) -> Document:
    """The callback for one status (routee-contract, section 3)."""
    request = campaign.request
    return {
        "trackingId": message.tracking_id,
        "campaignTrackingId": campaign.tracking_id,
        "to": message.to,
        "from": SENDER_NAME,
        "groups": list(message.recipient.groups),
        "country": message.recipient.country,
        "status": {
            "name": occurrence.status,
            "reason": _reason(occurrence.reason),
            "updatedDate": iso(occurrence.occurred_at),
        },
        "body": {
            "text": request.body.text,
            "imageURL": request.body.image_url,
            "viberAction": request.body.action,
        },
        "ttl": request.ttl_seconds,
        "label": request.label,
        "inboundUrl": request.inbound_url,
        "applicationName": _APPLICATION_NAME,
        "price": float(PRICE),
        "direction": "Outbound",
        "originatingService": "Viber",
        "createdAt": iso(message.created_at),
    }


def inbound_callback(
    campaign: SimulatedCampaign, message: SimulatedMessage, reply: SimulatedReply
) -> Document:
    """The callback for one reply (routee-contract, section 4)."""
    return {
        "from": message.to,
        "to": SENDER_NAME,
        "message": reply.message,
        "sentDate": iso(reply.sent_at),
        "campaignName": campaign.request.name,
        "campaignTrackingId": campaign.tracking_id,
        "referenceTrackingId": message.tracking_id,
        "direction": "Inbound",
        "media": reply.media,
        "filename": reply.filename,
        "label": campaign.request.label,
    }


def tracking_item(campaign: SimulatedCampaign, message: SimulatedMessage) -> Document:
    """The tracking document of one message (routee-contract, section 5)."""
    request = campaign.request
    return {
        "trackingId": message.tracking_id,
        "to": message.to,
        "from": SENDER_NAME,
        "groups": list(message.recipient.groups),
        "country": message.recipient.country,
        "status": {
            "status": message.final.status,
            "date": iso(message.final.occurred_at),
            "reason": _reason(message.final.reason),
        },
        "campaign": request.name,
        "campaignTrackingId": campaign.tracking_id,
        "applicationName": _APPLICATION_NAME,
        "originatingService": "Viber",
        "direction": "Outbound",
        "ttl": request.ttl_seconds,
        "message": request.body.text,
        "viberAction": request.body.action,
        "imageUrl": request.body.image_url,
        "viberFile": request.body.file,
        "viberVideo": request.body.video,
        "price": float(PRICE),
        "sessionId": None,
        "sessionMessage": request.is_session_message,
        "expireOnDelivery": False,
    }


def page(items: Sequence[Document], *, number: int, size: int) -> Document:
    """The page *number*, counted from 0, of *items* (routee-contract, section 2)."""
    content = items[number * size : (number + 1) * size]
    pages = -(-len(items) // size)
    return {
        "content": list(content),
        "totalPages": pages,
        "last": number >= pages - 1,
        "totalElements": len(items),
        "first": number == 0,
        "numberOfElements": len(content),
        "size": size,
        "number": number,
    }


def _analysis(request: CampaignRequest) -> Document:
    recipients = request.recipients
    return {
        "numberOfRecipients": len(recipients),
        "recipientsPerCountry": dict(Counter(recipient.country for recipient in recipients)),
        "recipientCountries": {recipient.number: recipient.country for recipient in recipients},
        "recipientsPerGroup": dict.fromkeys(request.groups, GROUP_MEMBERS),
        "totalInGroups": GROUP_MEMBERS * len(request.groups),
        "contacts": {contact: number_of_contact(contact) for contact in request.contacts},
        "bodyAnalysis": {"characters": len(request.body.text or "")},
    }


def _reason(reason: StatusReason | None) -> Document | None:
    if reason is None:
        return None
    return {"detailedStatus": reason.detailed_status, "description": reason.description}
