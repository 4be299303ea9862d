"""The descriptions of the document."""

from typing import Any, Final

from app.api.campaign_json import LONG_MEMBERS
from app.api.document.operations import operations_in

SUMMARY: Final = "Delivery status of Viber campaigns, kept from Routee's callbacks."

DESCRIPTION: Final = """\
Launches Viber campaigns at Routee, stores Routee's callbacks durably, and answers for them.

- Names are Routee's own, in camelCase. Times are ISO 8601 in UTC, amounts of money decimal strings.
- Ids are opaque; in a path they are percent-encoded, `%2F` included.
- Lists have `limit` and `cursor`, and answer `items` and `nextCursor`, which is null on the last
  page.
- A parameter that a call does not have is refused (422), and so is a second value of one that takes
  one. A parameter that takes many is repeated: `status=SEEN&status=DELIVERED`.
- Errors are `application/problem+json` (RFC 9457). Act on `type`; it is stable.
- Members may be added to answers: ignore unknown ones. A member with an enumeration is closed: a
  new word comes with a new version only. All other words are open, as are the types of the feed's
  items: their examples are the words of today, and a program must expect more.
- A GET of one resource has an `ETag`; with `If-None-Match` the answer is 304 if it is unchanged.
- HEAD is answered wherever GET is.
- Answers of 1 kB and more are compressed as `Accept-Encoding` asks: gzip or zstd.
"""

CONTACT: Final = {"name": "The maintainers of Routee Receiver"}
LICENCE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SERVERS: Final = [
    {
        "url": "http://127.0.0.1:8000",
        "description": "`routee-receiver serve` on this machine. Clients are given the address of "
        "theirs.",
    }
]

TAGS: Final[list[dict[str, Any]]] = [
    {"name": "callbacks", "description": "What Routee posts. Its token is in the URL."},
    {"name": "status", "description": "The status of a message or a campaign, by its trackingId."},
    {"name": "messages", "description": "Single messages: their status and history."},
    {"name": "campaigns", "description": "Launching campaigns, and their counts."},
    {"name": "inbound messages", "description": "What recipients replied."},
    {"name": "events", "description": "The feed: all that happened, in one order."},
    {"name": "exports", "description": "Whole tables as CSV, NDJSON or Parquet, for analysis."},
    {"name": "recipients", "description": "Erasing one recipient."},
    {"name": "quarantine", "description": "What could not be stored, and replaying it."},
    {"name": "operations", "description": "For orchestrators and monitoring."},
    {"name": "webhooks", "description": "What Routee documents that it posts, by its kind."},
]

_CAMPAIGN_ID: Final = "Routee's id of the campaign."
_NUMBERS: Final = "Telephone numbers that it is sent to."
_MONEY: Final = (
    "A decimal number as text, such as `0.035`, exact: make no binary fraction of it. In the "
    "currency of the Routee account."
)
_CLOSED: Final = "A closed set: a new word comes with a new version of this API only."

#: Members by their name, wherever they have no description of their own.
_MEMBERS: Final = {
    "id": "Its id here. Opaque.",
    "items": "The items of this page.",
    "type": "What it is, in Routee's word. An open set.",
    "kind": "What it is. A closed set.",
    "data": "What it says.",
    "field": "The path of the member, as names and indexes.",
    "createdAt": "When Routee made it; null if Routee reported no time.",
    "senderInfoTrackingId": "Routee's id of the sender.",
    "senderInfoName": "The sender's name, which recipients see.",
    "to": "The recipient's number.",
    "from": "The Viber sender.",
    "contacts": "Ids of contacts at Routee that it is sent to.",
    "groups": "Names of groups at Routee that it is sent to.",
    "campaignName": "The name of the campaign at Routee.",
    "scheduledDate": "When it is sent; null for at once.",
    "body": "What is sent, as Routee answered it, else as it was asked for.",
    "ttl": "For how many seconds Viber tries to deliver; null is Routee's default, 14 days.",
    "totalMessages": "How many messages Routee makes of it.",
    "viberAnalysis": "Routee's analysis of the recipients, such as `numberOfRecipients`.",
    "label": "The caller's own text, which comes back with every callback.",
    "isSessionMessage": "Whether it belongs to a session with its recipient.",
    "respectQuietHours": "Whether Routee waits for the end of the night.",
    "queuedAt": "When it was first reported QUEUED; null if never.",
    "deliveredAt": "When it was first reported DELIVERED; null if never.",
    "seenAt": "When it was first reported SEEN; null if never.",
    "failedAt": "When it was first reported as failed; null if never.",
    "direction": "`Outbound` for messages, `Inbound` for replies.",
    "applicationName": "The application of the Routee account.",
    "originatingService": "Routee's word for the channel: `Viber`.",
    "sentDate": "When the recipient sent it, in ISO 8601.",
    "updatedDate": "When the status was reached, in ISO 8601.",
    "name": "The name of the campaign at Routee.",
    "trackingId": "Routee's id of the message; of a campaign, that of the campaign.",
    "campaignTrackingId": _CAMPAIGN_ID,
    "referenceTrackingId": "The outbound message that it answers.",
    "status": "The status of the message; `UNKNOWN` for a word that Routee does not document.",
    "providerStatus": "Routee's own word. An open set.",
    "detailedStatus": "Routee's reason, in a word. An open set.",
    "description": "Routee's reason, in a sentence.",
    "statusAt": "When the status was reached; null if Routee reported no time.",
    "final": "No further callback is due. A failure may still become DELIVERED, a DELIVERED SEEN.",
    "country": "ISO 3166, two letters.",
    "price": _MONEY,
    "cost": _MONEY,
    "updatedAt": "When something new about it was last stored.",
    "receivedAt": "When it was received.",
    "occurredAt": "When it happened; null if Routee reported no time.",
    "sentAt": "When it was sent; null if Routee reported no time.",
    "changed": "Whether it became the status of the message, given all earlier events.",
    "reason": "Why it did, or did not, become the status of the message. An open set.",
    "lastReceivedAt": "When the same bytes were last received.",
    "times": "How often the same bytes were received.",
    "path": "The path that it was posted to, without the token.",
    "contentType": "The header `Content-Type`, if it says anything unusual; else empty.",
    "contentEncoding": "The header `Content-Encoding`; empty without one.",
    "size": "In bytes.",
    "preview": "How it begins: at most 500 characters, our secrets masked.",
    "replayedAt": "When it was last replayed; null if never.",
    "replayOutcome": "What became of it at the last replay; null without one. An open set.",
    "replayReason": "Why not all of it was stored at the last replay, in the words of `reason`; "
    "null if there is nothing to say.",
    "rawBase64": "The exact bytes; only with `raw=true`.",
    "messageStatus": "The status of the message now; null when the message was removed.",
    "source": "`callback` when Routee posted it, `tracking` when Routee was asked, `service` when "
    "this service found or did it. An open set.",
    "raw": "The payload; only with `raw=true`. Tokens are masked, except for scope `admin`.",
    "nextCursor": "For the parameter `cursor`; null on the last page.",
    "submission": "How far its launch has come; `observed`: it was not launched here.",
    "submissionReason": "Why it is rejected or unconfirmed, for people to read.",
    "billing": "How Routee charges for it.",
    "state": "Routee's word at the launch, such as `Queued` or `Scheduled`. An open set. It never "
    "changes, as Routee offers no way to read it.",
    "counts": "How many messages are in each status now.",
    "total": "How many messages it has, without the awaited ones.",
    "finalCount": "How many of them are final.",
    "awaiting": "Expected messages without any callback; null when the number is unknown.",
    "finished": "Whether nothing more is to come: every expected message has a final status; or "
    "its `ttl` (14 days if unset) and the 40 hours for which Routee repeats a callback have passed "
    "since it was launched, since the time that it was scheduled for and since the last message of "
    "it was created; or it is rejected or cancelled. A launch that is unconfirmed is not finished. "
    "Late callbacks still change the counts.",
    "finishedAt": "When it was found to be finished, seconds after it was; it does not change "
    "afterwards. Null while it is not finished.",
    "overdue": "Of a finished campaign: how many expected messages have no final status. It falls "
    "when a late callback comes. 0 while it is not finished.",
    "nextAt": "When it may be done again without being asked for; null before it has ended.",
    "pages": "How many pages of Routee's list were read.",
    "messages": "How many messages Routee listed.",
    "stored": "How many of their statuses were missing here, and are stored.",
    "quarantined": "How many of their statuses are in the quarantine, as a callback would be.",
    "unusable": "How many of them are no statuses of messages of this campaign.",
    "firstEventAt": "When the first event of its messages happened, of those with a known time and "
    "stored until a few seconds ago.",
    "lastEventAt": "When the last event of its messages happened, as `firstEventAt`.",
    "progress": "The newest report of Routee on the campaign as a whole; null without one.",
    "campaignStatus": "Routee's own word for how far the campaign is. An open set.",
    "messageStatuses": "How many messages are in which state by this report, in Routee's words.",
    "totalRecipients": "How many recipients the campaign has by this report.",
    "warnings": "What is allowed, but probably a mistake.",
    "callbackUrl": "As it was sent to Routee, with the token masked.",
    "inboundUrl": "As it was sent to Routee, with the token masked.",
    "trackingIds": "Ids of messages, at most 1000.",
    "notFound": "Ids without a callback, in the order of the request.",
    "media": "The address of the attachment as Routee sent it; it need not be a valid URL.",
    "filename": "The name of the attachment.",
    "message": "The text of the reply.",
    "askedAt": "When it was asked for.",
    "beganAt": "When it began; null while it waits.",
    "endedAt": "When all that is stored was searched; null before.",
    "number": "The last digits of the number; null once it is done.",
    "erasedBefore": "Whether the recipient had been erased before.",
    "campaignId": "Our id of the campaign.",
    "erasureId": "The erasure; scope `admin` can read it.",
    "recipientKey": "What the feed calls the number when it is erased.",
    "earlierRecipientKeys": "The same, as it was by earlier `RECEIVER_ERASURE_KEYS` that are set.",
    "numbers": "Telephone numbers, at most 1000.",
    "rows": "How many rows of each table had data of the recipient, as found so far.",
}
#: Members that mean something else in this schema.
_SPECIAL: Final = {
    ("Campaign", "id"): "Our id, given at once.",
    ("Campaign", "to"): _NUMBERS,
    ("CampaignStatus", "to"): _NUMBERS,
    ("CampaignAction", "caption"): "The text on the button.",
    ("CampaignAction", "targetUrl"): "Where the button leads.",
    ("CampaignBody", "text"): "The text of the message.",
    ("CampaignBody", "imageURL"): "The address of an image, with https.",
    ("CampaignBody", "action"): "A button.",
    ("CampaignBody", "viberFile"): "A file.",
    ("CampaignBody", "viberVideo"): "A video.",
    ("CampaignFile", "fileName"): "The name that recipients see.",
    ("CampaignFile", "fileUrl"): "Where the file is fetched from.",
    ("CampaignVideo", "videoUrl"): "Where the video is fetched from, with https.",
    ("CampaignVideo", "videoThumbnail"): "The address of a still image, with https.",
    ("CampaignRequest", "body"): "What is sent.",
    ("CampaignWarning", "code"): "What kind of mistake. An open set.",
    ("CampaignMessage", "status"): "The status of the message; `AWAITING` without a callback so "
    "far.",
    (
        "CampaignMessage",
        "trackingId",
    ): "Routee's id of the message; null without a callback so far.",
    ("FeedItem", "type"): "What happened. An open set: more types will come.",
    ("FeedData", "from"): "The recipient's number.",
    ("FeedData", "to"): "The recipient's number; of a reply, the Viber sender it was sent to.",
    ("InboundMessage", "from"): "The recipient's number.",
    ("InboundMessage", "to"): "The Viber sender it was sent to.",
    ("InboundCallback", "to"): "The Viber sender it was sent to.",
    ("Health", "result"): "`alive` or `ready`. An open set.",
    ("Ready", "result"): "`ready`. An open set.",
    ("Receipt", "result"): "What became of it. A closed set.",
    ("StatusCallback", "body"): "What was sent.",
    ("StatusCallback", "groups"): "Names of the groups of the recipient.",
    ("StatusCallback", "inboundUrl"): "Where Routee posts replies to.",
    ("CampaignProgressCallback", "callbackInfo"): "Where Routee posts such reports, and when.",
    ("CampaignStatus", "id"): "Our id, given at once.",
    ("RecipientKey", "number"): "As it was asked for.",
    ("FinishedData", "total"): "How many messages it had then.",
    ("FeedData", "total"): "How many messages the campaign had then.",
    ("FeedData", "status"): "The status of the message, reached now or, if it is overdue, so far.",
    ("OverdueData", "status"): "The status then; `messageStatus` of later items may be final.",
    **{
        (schema, "overdue"): "Whether it has no final status although its campaign is finished: "
        "neither a callback nor Routee's tracking gave one so far."
        for schema in ("Message", "MessageStatus", "CampaignMessage")
    },
    ("Message", "explanation"): "What its status means, for people to read; only in the answer to "
    "`GET /v1/messages/{trackingId}`.",
    ("MessageExplanation", "text"): "What it means, in a sentence or two. The wording may change.",
    ("MessageExplanation", "action"): "What to do about it; null if there is nothing to do.",
    ("Reconciliation", "endedAt"): "When Routee had been read; null before.",
    ("Reconciliation", "state"): "How far it is.",
    ("Reconciliation", "outcome"): "What became of it; null before it has ended.",
    ("Erasure", "progress"): "How far it is, for people to read; null while it does not run.",
    ("Erasure", "state"): "What has become of it.",
    ("CampaignSummary", "id"): "Our id, given at once.",
    **{("CampaignSummary", name): f"Only with `fields={name}`." for name in LONG_MEMBERS},
    **{
        ("CampaignStatus", name): f"Never: ask `/v1/campaigns/{{trackingId}}?fields={name}`."
        for name in LONG_MEMBERS
    },
    ("QuarantinedBody", "reason"): "Why it is in the quarantine. An open set.",
    ("QuarantinedBody", "receivedAt"): "When it was first received.",
    ("QuarantinedBody", "campaignId"): "Our id of the campaign whose callback URL it came "
    "through; null for the shared ones.",
    ("QuarantinedBody", "raw"): "The body as text, ill-formed bytes replaced; only with "
    "`raw=true`. Nothing is masked.",
    ("FeedPage", "nextCursor"): "For the parameter `after` of the next call; never null.",
    ("CampaignWarning", "message"): "What is probably a mistake, and what to do.",
    ("Resolution", "trackingId"): "Routee's id of the campaign, if it was found.",
    ("Resolution", "submission"): "The outcome of the launch.",
}

_PARAMETERS: Final = {
    "campaignTrackingId": "Routee's id of a campaign, or ours.",
    "referenceTrackingId": "Only those that answer this message.",
    "from": "Only those from this number.",
    "receivedSince": "Only those received at this time or later.",
    "receivedBefore": "Only those received before this time.",
    "createdSince": "Only those made at this time or later.",
    "createdBefore": "Only those made before this time.",
    "type": "Only items of this type.",
    "id": "The `id` of an item of the list.",
}
_ANSWERS: Final = {"Successful Response": "The answer."}


def add_descriptions(document: dict[str, Any]) -> None:
    """Describe members and parameters that have no description of their own."""
    for name, schema in document["components"]["schemas"].items():
        if "enum" in schema:
            schema["description"] = f"{schema['description']} {_CLOSED}"
        members = schema.get("properties", {})
        for member, node in members.items():
            description = _SPECIAL.get((name, member)) or _MEMBERS.get(member)
            if description is not None and not {"properties", "description"} & node.keys():
                # A new node: several members may share one.
                members[member] = node | {"description": description}
    for _, _, node in operations_in(document):
        for parameter in node.get("parameters", ()):
            if parameter["name"] in _PARAMETERS:
                parameter.setdefault("description", _PARAMETERS[parameter["name"]])
        for answer in node["responses"].values():
            answer["description"] = _ANSWERS.get(answer["description"], answer["description"])
