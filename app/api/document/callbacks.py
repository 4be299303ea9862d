"""
The callback endpoints, as paths and as webhooks.

`app.api.receiver` answers them without FastAPI, so FastAPI does not describe them.
"""

from typing import Any, Final

TAG: Final = "callbacks"
#: Of their own: generators make a file of each tag, and one for the webhooks.
WEBHOOK_TAG: Final = "webhooks"

#: The schemas of what Routee posts.
_BODIES: Final = ("StatusCallback", "InboundCallback", "CampaignProgressCallback")

_TOKEN: Final = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "One of `RECEIVER_CALLBACK_SECRETS`, or the token that a launch made for its "
    "campaign. It is the only authentication.",
    "schema": {"type": "string"},
}


def _answer(description: str, schema: str, *results: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{schema}"},
                "examples": {result: {"value": {"result": result}} for result in results},
            }
        },
    }


_RECEIPT: Final = _answer(
    "It is durable. `quarantined`: it, or a part of it, could not be read or believed, and is kept "
    "byte for byte. `buffered`, only with `RECEIVER_BUFFER_URL`: it is safe in a replicated "
    "buffer, and not yet visible in this API.",
    "Receipt",
    "stored",
    "quarantined",
    "buffered",
)
_HEALTH: Final = _answer("The token is valid.", "Health", "ready")
_ANSWERED: Final = (
    "Answered 200 only when it is committed, or acknowledged by a replicated buffer. Any JSON is "
    "accepted, of any content type: an object, an array or an envelope with `messages`; a status, "
    "a reply or a campaign's progress; an unreadable body is kept as well. Methods other than GET, "
    "HEAD and POST are answered 405 with `Allow`."
)


def _body(*names: str) -> dict[str, Any]:
    return {
        "required": True,
        "description": "What Routee posts, as it documents it. Nothing of it is enforced: any body "
        "is accepted.",
        "content": {
            "application/json": {
                # Generators drop schemas that webhooks alone name.
                "schema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in _BODIES]},
                "examples": {name: {"$ref": f"#/components/examples/{name}"} for name in names},
            }
        },
    }


def _path(kind: str, noun: str, *examples: str) -> dict[str, Any]:
    named = f"{kind.capitalize()}Callback"
    return {
        "parameters": [_TOKEN],
        "post": {
            "tags": [TAG],
            "operationId": f"post{named}",
            "summary": f"Routee posts {noun} here",
            "description": _ANSWERED,
            "requestBody": _body(*examples),
            "responses": {"200": _RECEIPT},
        },
        "get": {
            "tags": [TAG],
            "operationId": f"probe{named}",
            "summary": "Is the URL right?",
            "description": "For setting up the URL.",
            "responses": {"200": _HEALTH},
        },
        "head": {
            "tags": [TAG],
            "operationId": f"head{named}",
            "summary": "Is the URL right?",
            "description": "As GET, without the body.",
            "responses": {"200": {"description": _HEALTH["description"]}},
        },
    }


CALLBACK_PATHS: Final[dict[str, Any]] = {
    "/callbacks/{token}/status": _path(
        "status",
        "the status of messages",
        "StatusCallback",
        "InboundCallback",
        "CampaignProgressCallback",
    ),
    "/callbacks/{token}/inbound": _path(
        "inbound", "recipients' replies", "InboundCallback", "StatusCallback"
    ),
}


def _webhook(name: str, summary: str) -> dict[str, Any]:
    return {
        "post": {
            "tags": [WEBHOOK_TAG],
            "operationId": f"on{name}",
            # Posted by Routee to this service: no call of a client.
            "x-internal": True,
            "security": [],
            "summary": summary,
            "description": "Posted by Routee to the URL of the campaign, until it is answered 200 "
            "within 2 seconds: up to 12 times, in any order.",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}
                },
            },
            "responses": {"200": _RECEIPT},
        }
    }


WEBHOOKS: Final[dict[str, Any]] = {
    "statusCallback": _webhook("StatusCallback", "The status of one message"),
    "inboundCallback": _webhook("InboundCallback", "A recipient's reply"),
    "campaignProgressCallback": _webhook(
        "CampaignProgressCallback", "How far a campaign is as a whole"
    ),
}
