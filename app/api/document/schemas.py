"""Schemas that FastAPI does not see: problems, Routee's request, and Routee's callbacks."""

import json
from copy import deepcopy
from typing import Any, Final

from app.api.campaign_json import LONG_MEMBERS
from app.api.document.operations import operations_in
from app.routee.reading import MAX_LABEL_CHARACTERS
from app.routee.rules.body import (
    FILE_TYPES,
    MAX_URL_CHARACTERS,
    MAX_VIDEO_MEGABYTES,
    MAX_VIDEO_SECONDS,
)
from app.routee.rules.examination import MAX_TTL_SECONDS, MIN_TTL_SECONDS
from app.routee.rules.recipients import MAX_RECIPIENTS

Schema = dict[str, Any]

#: Bodies that the routes parse themselves, see `parts.json_body`.
_BODIES: Final = {
    "launchCampaign": "CampaignRequest",
    "getRecipientKeys": "RecipientNumbers",
    "lookUpMessages": "Lookup",
    "resolveCampaign": "Resolution",
}
#: Schemas of requests; all others are of answers.
_REQUESTS: Final = frozenset({"Lookup", "RecipientNumbers", "Resolution"})
#: Members of answers that are present only on request.
_ON_REQUEST: Final = {
    "HistoryItem": ("raw",),
    "Message": ("explanation",),
    "ProgressItem": ("raw",),
    "QuarantinedBody": ("raw", "rawBase64"),
    "CampaignSummary": LONG_MEMBERS,
    "CampaignStatus": LONG_MEMBERS,
}
_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _texts_or_null(*names: str) -> Schema:
    return dict.fromkeys(names, _TEXT_OR_NULL)


def _object(members: Schema, *, required: tuple[str, ...] = (), **more: object) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": members, **needed, **more}


def _nullable(schema: Schema) -> Schema:
    if "type" in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _request_object(members: Schema, *, required: tuple[str, ...] = (), **more: object) -> Schema:
    """An object of a request: null counts as absent, and unknown members are refused."""
    shown = {
        name: member if name in required else _nullable(member) for name, member in members.items()
    }
    return _object(shown, required=required, additionalProperties=False, **more)


_NOT_SENT: Final = _TEXT | {"description": "Not sent to Routee: this service names itself."}
_URL: Final[Schema] = {"type": "string", "format": "uri", "maxLength": MAX_URL_CHARACTERS}
_IDS: Final[Schema] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "maxItems": MAX_RECIPIENTS,
    "uniqueItems": True,
}

_REQUEST: Final[dict[str, Schema]] = {
    "CampaignRequest": _request_object(
        {
            "senderInfoTrackingId": {
                "type": "string",
                "minLength": 1,
                "description": "Routee's id of the sender.",
            },
            "to": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^\+[1-9][0-9]{1,14}$"},
                "maxItems": MAX_RECIPIENTS,
                "uniqueItems": True,
                "description": "Telephone numbers in E.164.",
            },
            "contacts": _IDS | {"description": "Ids of contacts at Routee."},
            "groups": _IDS | {"description": "Names of groups at Routee."},
            "campaignName": {
                "type": "string",
                "pattern": "^[A-Za-z0-9 -]{2,30}$",
                "description": "Unique in the account; generated if left out.",
            },
            "isSessionMessage": {"type": "boolean", "description": "Default: false."},
            "scheduledDate": {
                "type": "string",
                "format": "date-time",
                "description": "In the future, with its offset.",
            },
            "body": _ref("CampaignBody"),
            "ttl": {
                "type": "integer",
                "minimum": MIN_TTL_SECONDS,
                "maximum": MAX_TTL_SECONDS,
                "description": "Seconds until it expires; 14 days if left out.",
            },
            "label": {
                "type": "string",
                "maxLength": MAX_LABEL_CHARACTERS,
                "description": "Comes back with every callback.",
            },
            "callbackUrl": _NOT_SENT,
            "inboundUrl": _NOT_SENT,
        },
        required=("senderInfoTrackingId", "body"),
        description="Routee's campaign request. At least one of `to`, `contacts` and `groups`.",
    ),
    "CampaignBody": _request_object(
        {
            "text": {"type": "string", "minLength": 1},
            "imageURL": _URL,
            "action": _ref("CampaignAction"),
            "viberFile": _ref("CampaignFile"),
            "viberVideo": _ref("CampaignVideo"),
            "fallbackValues": {
                "type": "object",
                "additionalProperties": _TEXT_OR_NULL,
                "description": "Replaces a placeholder `[~name]` of the text that has no value.",
            },
        },
        description="One of: text, image, file, text and action, text, action and image, video, "
        "video and text, video, text and image. In a session message: text, image or file.",
    ),
    "CampaignAction": _request_object(
        {
            "caption": {"type": "string", "minLength": 1, "maxLength": 30},
            "targetUrl": {"type": "string", "format": "uri"},
        },
        required=("caption", "targetUrl"),
        description="A button.",
    ),
    "CampaignFile": _request_object(
        {
            "fileName": {"type": "string", "minLength": 1, "maxLength": 25},
            "fileType": {
                "type": "string",
                "description": f"One of {', '.join(FILE_TYPES)}; the case does not matter.",
            },
            "fileUrl": {"type": "string", "format": "uri"},
        },
        required=("fileName", "fileType", "fileUrl"),
        description="A file of at most 600 KB.",
    ),
    "CampaignVideo": _request_object(
        {
            "videoUrl": _URL,
            "videoURL": _URL | {"description": "Another spelling of `videoUrl`."},
            "videoThumbnail": _URL,
            "fileSize": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": MAX_VIDEO_MEGABYTES,
                "description": "In megabytes.",
            },
            "duration": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": MAX_VIDEO_SECONDS,
                "description": "In seconds.",
            },
        },
        required=("videoThumbnail", "fileSize", "duration"),
        description="A video.",
    ),
}

_CALLBACKS: Final[dict[str, Schema]] = {
    "StatusCallback": _object(
        {
            "trackingId": _TEXT | {"description": "Of the message."},
            **_texts_or_null("campaignTrackingId", "to", "from"),
            "groups": {"type": ["array", "null"], "items": _TEXT},
            "country": _TEXT_OR_NULL,
            "status": _object(
                {
                    "name": _TEXT
                    | {"description": "Routee's word, in any case. Routee may add more."},
                    "reason": _nullable(_object(_texts_or_null("detailedStatus", "description"))),
                    "updatedDate": _TEXT_OR_NULL
                    | {"description": "When the status was reached, in ISO 8601."},
                },
                required=("name",),
                description="The status and its reason.",
            ),
            "body": {"type": ["object", "null"], "additionalProperties": True},
            "ttl": {"type": ["integer", "null"]},
            **_texts_or_null("label", "inboundUrl", "applicationName"),
            "price": _NUMBER_OR_NULL,
            **_texts_or_null("direction", "originatingService", "createdAt"),
        },
        required=("trackingId", "status"),
        description="The status of one message, as Routee posts it.",
    ),
    "InboundCallback": _object(
        {
            "from": _TEXT | {"description": "The recipient's number."},
            **_texts_or_null("to", "message", "sentDate", "campaignName", "campaignTrackingId"),
            "referenceTrackingId": _TEXT_OR_NULL
            | {"description": "Of the message that is answered."},
            "direction": _TEXT_OR_NULL,
            "media": _TEXT_OR_NULL | {"description": "It need not be a valid URL."},
            **_texts_or_null("filename", "label"),
        },
        required=("from",),
        description="A recipient's reply, as Routee posts it.",
    ),
    "CampaignProgressCallback": _object(
        {
            "trackingId": _TEXT | {"description": "Of the campaign."},
            "name": _TEXT_OR_NULL,
            "totalRecipients": {"type": ["integer", "null"]},
            "campaignStatus": _TEXT_OR_NULL | {"description": "Routee's word. It may add more."},
            "messageStatuses": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "integer"},
                "description": "How many messages are in which state, in Routee's words.",
            },
            "callbackInfo": {"type": ["object", "null"], "additionalProperties": True},
        },
        required=("trackingId",),
        description="How far a campaign is as a whole, as Routee posts it if its console is set "
        "so. It has `campaignStatus` or `messageStatuses`, and no `status`.",
    ),
    "Receipt": _object(
        {"result": {"type": "string", "enum": ["stored", "quarantined", "buffered"]}},
        required=("result",),
        description="What became of a callback.",
    ),
}

_PROBLEMS: Final[dict[str, Schema]] = {
    "Problem": _object(
        {
            "type": {
                "type": "string",
                "format": "uri",
                "description": "`urn:routee-receiver:problem:` and a stable slug. Act on this.",
            },
            "title": _TEXT | {"description": "The slug in words."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": _TEXT | {"description": "What happened this time, and what to do."},
            "requestId": _TEXT
            | {"description": "The answer's `X-Request-Id`, which its log lines have."},
            "errors": {
                "type": "array",
                "items": _ref("ProblemError"),
                "description": "All errors of the request.",
            },
            "code": _TEXT | {"description": "Routee's code, if Routee refused the request."},
            "errorCode": _TEXT | {"description": "Routee's finer code."},
            "developerMessage": _TEXT | {"description": "Routee's words."},
        },
        required=("type", "title", "status"),
        description="Every answer that is not a success (RFC 9457).",
    ),
    "ProblemError": _object(
        {
            "field": _TEXT | {"description": "The path of the member, as names and indexes."},
            "message": _TEXT | {"description": "What to do."},
            "code": _TEXT | {"description": "The code with which Routee would refuse it."},
            "errorCode": _TEXT | {"description": "Routee's finer code."},
        },
        required=("field", "message"),
        description="One error of a request.",
    ),
}


def complete_schemas(document: dict[str, Any]) -> None:
    """Add the schemas above, and tidy up those of the routes."""
    schemas: dict[str, Schema] = document["components"]["schemas"]
    for name, schema in schemas.items():
        if name not in _REQUESTS and "properties" in schema:
            schema["required"] = [
                member for member in schema["properties"] if member not in _ON_REQUEST.get(name, ())
            ]
    for _, _, operation in operations_in(document):
        _name_body(operation, schemas)
    # Copies: documents are changed in place, and there are two.
    schemas |= deepcopy(_PROBLEMS | _REQUEST | _CALLBACKS)
    for part in ("components", "paths"):
        _drop_titles(document[part])


def drop_unnamed_schemas(document: dict[str, Any]) -> None:
    """Drop the schemas of *document* that nothing refers to, such as those of FastAPI's errors."""
    schemas: dict[str, Schema] = document["components"]["schemas"]
    while unnamed := [name for name in schemas if not _is_named(name, document)]:
        for name in unnamed:
            del schemas[name]
    document["components"]["schemas"] = dict(sorted(schemas.items()))


def _is_named(name: str, document: dict[str, Any]) -> bool:
    return f'"{_ref(name)["$ref"]}"' in json.dumps(document)


def take_no_null(document: dict[str, Any]) -> None:
    """Parameters without null, which no URL can spell: one that may be left out is not required."""
    for _, _, operation in operations_in(document):
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
            if len(options) == 1:
                parameter["schema"] = options[0]


def _name_body(operation: dict[str, Any], schemas: dict[str, Schema]) -> None:
    name = _BODIES.get(operation["operationId"])
    if name is not None:
        content = operation["requestBody"]["content"]["application/json"]
        schemas[name] = content["schema"]
        content["schema"] = _ref(name)


def _drop_titles(value: object) -> None:
    """FastAPI makes a title of each name, `Trackingid`, which says less than the name."""
    if isinstance(value, dict):
        # Of a member that is named `title`, this is the schema.
        if isinstance(value.get("title"), str):
            del value["title"]
        for member in value.values():
            _drop_titles(member)
    elif isinstance(value, list):
        for element in value:
            _drop_titles(element)
