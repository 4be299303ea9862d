"""The feed as CloudEvents, in the document."""

from typing import Any, Final

from app.api.cloud_events import MEDIA_TYPE, SOURCE, SPEC_VERSION

#: What the route says of the answer.
ANSWER: Final[dict[str, dict[str, Any]]] = {
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}}
        }
    },
    "headers": {
        "Link": {
            "description": "With CloudEvents only, in place of `nextCursor`: the next page, as "
            '`<?after=…>; rel="next"`, relative to the URL of the call.',
            "schema": {"type": "string"},
        }
    },
}
_TEXT: Final = {"type": "string"}


def add_cloud_events(document: dict[str, Any]) -> None:
    """Add the schema of an event, whose data are the items of the feed."""
    schemas = document["components"]["schemas"]
    item = schemas["FeedPage"]["properties"]["items"]["items"]
    schemas["CloudEvent"] = {
        "type": "object",
        "description": "An item of the feed as a CloudEvent 1.0.",
        "properties": {
            "specversion": _TEXT | {"const": SPEC_VERSION, "description": "Of CloudEvents."},
            "id": _TEXT | {"description": "The `id` of the item."},
            "source": _TEXT | {"const": SOURCE, "description": "The feed."},
            "type": _TEXT | {"description": "The `type` of the item."},
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened, or was received where that is not known.",
            },
            "subject": _TEXT
            | {"description": "The message, else the campaign; absent if it is of neither."},
            "datacontenttype": _TEXT
            | {"const": "application/json", "description": "Of `data`."},
            "data": {"description": "The item, as in `FeedPage`.", **item},
        },
        "required": [
            "specversion", "id", "source", "type", "time", "datacontenttype", "data",
        ],
    }  # fmt: skip
    document["components"]["schemas"] = dict(sorted(schemas.items()))
