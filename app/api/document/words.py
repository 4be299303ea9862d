"""What the document says in words."""

from typing import Any, Final

from app.api.document.walk import operations_in

SUMMARY: Final = "Delivery status of Viber campaigns, kept from Routee's callbacks."

DESCRIPTION: Final = """\
Launches Viber campaigns at Routee, receives Routee's callbacks durably, and answers for them.

- Names are Routee's own, in camelCase. Times are ISO 8601 in UTC, amounts of money decimal strings.
- Ids are opaque; in a path they are percent-encoded, `%2F` included.
- Lists have `limit` and `cursor`, and answer `items` and `nextCursor`, which is null on the last
  page.
- Whatever is no success is `application/problem+json` (RFC 9457). Act on `type`; it is stable.
- Members may be added to answers, and words to open sets: ignore what you do not know.
- A GET of one thing has an `ETag`, and `If-None-Match` makes it 304 while nothing has changed.
"""

TAGS: Final[list[dict[str, Any]]] = [
    {"name": "callbacks", "description": "What Routee posts. Its token is in the URL."},
    {"name": "status", "description": "Where whatever has a trackingId stands."},
    {"name": "messages", "description": "Single messages: where they stand, and their history."},
    {"name": "campaigns", "description": "Launching campaigns, and what became of them."},
    {"name": "inbound messages", "description": "What recipients replied."},
    {"name": "events", "description": "The feed: everything that happened, in one order."},
    {"name": "exports", "description": "Whole tables as CSV, NDJSON or Parquet, for analysis."},
    {"name": "recipients", "description": "Erasing what is known of one recipient."},
    {"name": "operations", "description": "For orchestrators and monitoring."},
]

_CAMPAIGN_ID: Final = "Routee's id of the campaign."

#: Members by their name, wherever they have no description of their own.
_MEMBERS: Final = {
    "trackingId": "Routee's id of the message; of a campaign, that of the campaign.",
    "campaignTrackingId": _CAMPAIGN_ID,
    "referenceTrackingId": "The outbound message that it answers.",
    "status": "Where the message stands. An unknown word of Routee's is `UNKNOWN`.",
    "providerStatus": "Routee's own word.",
    "detailedStatus": "Routee's reason, in a word.",
    "description": "Routee's reason, in a sentence.",
    "statusAt": "When the status was reached; null when Routee did not say.",
    "final": "No further callback is owed. A failure may still become DELIVERED, a DELIVERED SEEN.",
    "country": "ISO 3166, two letters.",
    "price": "Exact; in the currency of the Routee account.",
    "cost": "Exact; in the currency of the Routee account.",
    "updatedAt": "When something new about it was last stored.",
    "receivedAt": "When it was received.",
    "occurredAt": "When it happened; null when Routee did not say.",
    "sentAt": "When it was sent; null when Routee did not say.",
    "changed": "Whether it became the status of the message, by all that was stored before it.",
    "reason": "Why it did, or did not, become the status of the message.",
    "messageStatus": "Where the message stands now; null when it was removed.",
    "source": "`callback` when Routee posted it, `tracking` when Routee was asked.",
    "raw": "The payload; only with `raw=true`. Tokens are masked but for a key of scope `admin`.",
    "nextCursor": "For the parameter `cursor`; null on the last page.",
    "submission": "How far asking Routee for it has come; `observed`: not launched here.",
    "submissionReason": "Why it is rejected or unconfirmed.",
    "billing": "How Routee charges for it.",
    "state": "Routee's word at the launch. It never moves: Routee offers no way to read it again.",
    "counts": "How many messages are in each status now.",
    "total": "How many messages it has, the awaited ones left out.",
    "finalCount": "How many of them have reached an end.",
    "awaiting": "Expected messages without any callback; null when it is not known.",
    "warnings": "What is allowed, but doubtful.",
    "callbackUrl": "As Routee was given it; the token is masked.",
    "inboundUrl": "As Routee was given it; the token is masked.",
    "trackingIds": "Ids of messages, at most 1000.",
    "notFound": "Of which no callback was received, in the order in which they were asked for.",
    "media": "Where the attachment is, as Routee spells it: it need not be a valid URL.",
    "filename": "The name of the attachment.",
    "message": "What was written.",
    "erasedAt": "When the erasure came to its end.",
    "erasedBefore": "Whether the recipient had been erased before.",
    "rows": "How many rows of each table had something of the recipient.",
}
#: The same by schema, where it means something else.
_SPECIAL: Final = {
    ("Campaign", "id"): "Ours, from the first moment.",
    ("CampaignStatus", "id"): "Ours, from the first moment.",
    ("FeedPage", "nextCursor"): "For the parameter `after` of the next call; always there.",
    ("CampaignWarning", "message"): "What is doubtful, and what to do.",
    ("Resolution", "trackingId"): "Routee's id of the campaign, if it was found.",
    ("Resolution", "submission"): "What became of the launch.",
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
    "id": "The id of a list's item.",
}
_ANSWERS: Final = {"Successful Response": "As asked for."}


def add_words(document: dict[str, Any]) -> None:
    """Describe members and parameters that do not describe themselves."""
    for name, schema in document["components"]["schemas"].items():
        for member, node in schema.get("properties", {}).items():
            words = _SPECIAL.get((name, member)) or _MEMBERS.get(member)
            if words is not None and "properties" not in node:
                node.setdefault("description", words)
    for _, _, node in operations_in(document):
        for parameter in node.get("parameters", ()):
            if parameter["name"] in _PARAMETERS:
                parameter.setdefault("description", _PARAMETERS[parameter["name"]])
        for answer in node["responses"].values():
            answer["description"] = _ANSWERS.get(answer["description"], answer["description"])
