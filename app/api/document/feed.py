"""
The items of the feed in the document: one schema for all types.

There will be more types, and a client that was generated from a choice among those of today would
refuse a whole page for one item of a new type. So the document has one item whose `type` is a text,
and whose `data` has the members of all types, each of which may be missing.
"""

from collections.abc import Iterable
from typing import Any, Final

_REF: Final = "#/components/schemas/"
_ITEM: Final = "FeedItem"
_DATA: Final = "FeedData"
_DESCRIPTION: Final = (
    "Something that happened. Ignore an item whose `type` you do not know, and go on after it."
)


def open_feed(document: dict[str, Any]) -> None:
    """Replace the choice among items in *document* by one open item."""
    schemas = document["components"]["schemas"]
    items = schemas["FeedPage"]["properties"]["items"]
    by_type: dict[str, str] = items["items"]["discriminator"]["mapping"]
    kinds = {type_: schemas.pop(_name(ref)) for type_, ref in sorted(by_type.items())}
    data = {
        type_: schemas[_name(kind["properties"]["data"]["$ref"])]["properties"]
        for type_, kind in kinds.items()
    }
    common = next(iter(kinds.values()))
    schemas[_ITEM] = common | {
        "description": _DESCRIPTION,
        "properties": common["properties"]
        | {
            "type": {"type": "string", "examples": list(kinds)},
            "data": {"$ref": _REF + _DATA},
        },
    }
    schemas[_DATA] = {
        "type": "object",
        "description": "What an item says. " + " ".join(map(_sentence, data.items())),
        "properties": _merged(data.values()),
    }
    items["items"] = {"$ref": _REF + _ITEM}


def _merged(kinds: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The members of all *kinds*; one that has several types has any of them."""
    options: dict[str, list[Any]] = {}
    for members in kinds:
        for name, node in members.items():
            known = options.setdefault(name, [])
            known += [one for one in node.get("anyOf", [node]) if one not in known]
    return {name: one[0] if len(one) == 1 else {"anyOf": one} for name, one in options.items()}


def _name(ref: str) -> str:
    return ref.removeprefix(_REF)


def _sentence(of_type: tuple[str, dict[str, Any]]) -> str:
    type_, members = of_type
    return f"`{type_}` has {', '.join(f'`{name}`' for name in members)}."
