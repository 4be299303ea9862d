"""The AsyncAPI document: what the feed sends, made of the models of the OpenAPI document."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel

from app.api.document.descriptions import add_descriptions
from app.api.document.examples import FEED_EXAMPLES
from app.api.document.names import renamed
from app.api.document.schemas import complete_schemas
from app.api.routes.events import AnyFeedItem
from app.domain.feed import FeedItemType

_VERSION: Final = "3.0.0"
_REF: Final = "#/components/schemas/"
_DESCRIPTION: Final = """\
What the feed announces, one message for each item. It is read by HTTP, page by page: the OpenAPI
document has the call `GET /v1/events` and how to follow it. An item is the payload of a message
here, an element of `items` there, the `data` of a CloudEvent. Types may be added: ignore unknown
ones.
"""


def asyncapi_of(document: dict[str, Any]) -> dict[str, Any]:
    """The AsyncAPI document that belongs to the OpenAPI *document*."""
    schemas = _schemas()
    by_type = {_type_of(schema): name for name, schema in schemas.items()}
    messages = {_name(kind): _message(kind, by_type[kind], schemas) for kind in FeedItemType}
    used = _used(schemas, (by_type[kind] for kind in FeedItemType))
    info = document["info"]
    return {
        "asyncapi": _VERSION,
        "info": {
            "title": f"{info['title']}: the feed",
            "version": info["version"],
            "description": _DESCRIPTION,
            "license": {"name": info["license"]["name"]},
        },
        "defaultContentType": "application/json",
        "channels": {
            "feed": {
                "address": "/v1/events",
                "description": "All that happened, each exactly once, in one order.",
                "messages": {name: _ref("messages", name) for name in messages},
            }
        },
        "operations": {
            "announce": {
                "action": "send",
                "summary": "The service announces what happened.",
                "channel": {"$ref": "#/channels/feed"},
                "messages": [{"$ref": f"#/channels/feed/messages/{name}"} for name in messages],
            }
        },
        "components": {"messages": messages, "schemas": used},
    }


def _schemas() -> dict[str, Any]:
    """The schemas of all items, tidied up as those of the OpenAPI document are."""
    listed = TypeAdapter(AnyFeedItem).json_schema(
        ref_template=_REF + "{model}", mode="serialization"
    )
    document = renamed({"components": {"schemas": listed["$defs"]}, "paths": {}})
    complete_schemas(document)
    add_descriptions(document)
    schemas: dict[str, Any] = document["components"]["schemas"]
    return schemas


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _type_of(schema: dict[str, Any]) -> str | None:
    kind: str | None = schema.get("properties", {}).get("type", {}).get("const")
    return kind


def _name(kind: FeedItemType) -> str:
    return to_camel(kind.value.replace(".", "_"))


def _message(kind: FeedItemType, name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": kind.value,
        "title": kind.value,
        "summary": schemas[name]["description"],
        "contentType": "application/json",
        "payload": _ref("schemas", name),
        "examples": [{"payload": FEED_EXAMPLES[kind]}],
    }


def _used(schemas: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The schemas *names*, and all that they refer to."""
    found: dict[str, Any] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found[name] = schemas[name]
            left += re.findall(rf'"{_REF}(\w+)"', json.dumps(schemas[name]))
    return dict(sorted(found.items()))
