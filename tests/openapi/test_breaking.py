from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.openapi.breaking import breaks, needs_new_version
from tests.openapi.documents import committed, released

Document = dict[str, Any]

DOCUMENT: Document = {
    "paths": {
        "/things": {
            "get": {
                "operationId": "listThings",
                "security": [{"key": ["read"]}],
                "parameters": [
                    {
                        "in": "query",
                        "name": "state",
                        "required": False,
                        "schema": {"$ref": "#/components/schemas/State"},
                    },
                    {
                        "in": "query",
                        "name": "limit",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
                    },
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Thing"},
                                }
                            }
                        },
                    },
                    "404": {"content": {}},
                },
            },
            "post": {
                "operationId": "makeThing",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}
                    }
                },
                "responses": {"201": {"content": {}}},
            },
        }
    },
    "components": {
        "schemas": {
            "State": {"type": "string", "enum": ["new", "old"]},
            "Thing": {
                "type": "object",
                "required": ["id", "state"],
                "properties": {
                    "id": {"type": "string"},
                    "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
                    "state": {"$ref": "#/components/schemas/State"},
                    "part": {"$ref": "#/components/schemas/Thing"},
                },
            },
            "Wish": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 30},
                    "ttl": {"type": ["integer", "null"]},
                },
            },
        }
    },
}

GET = ("paths", "/things", "get")
POST = ("paths", "/things", "post")
THING = ("components", "schemas", "Thing")
WISH = ("components", "schemas", "Wish")
BODY = (*POST, "requestBody")

Change = Callable[[Document], None]


def at(document: Document, place: tuple[str | int, ...]) -> Any:  # noqa: ANN401 (any JSON)
    node: Any = document
    for name in place:
        node = node[name]
    return node


def put(*place: str | int, value: object) -> Change:
    def change(document: Document) -> None:
        at(document, place[:-1])[place[-1]] = value

    return change


def drop(*place: str | int) -> Change:
    def change(document: Document) -> None:
        del at(document, place[:-1])[place[-1]]

    return change


def added_parameter(*, required: bool) -> Change:
    parameter = {"in": "query", "name": "x", "required": required, "schema": {"type": "string"}}

    def change(document: Document) -> None:
        at(document, (*GET, "parameters")).append(parameter)

    return change


BREAKS: dict[str, Change] = {
    "a path removed": drop("paths", "/things"),
    "an operation removed": drop(*POST),
    "another operationId": put(*GET, "operationId", value="things"),
    "another scope": put(*GET, "security", value=[{"key": ["admin"]}]),
    "a key needed": put(*POST, "security", value=[{"key": ["read"]}]),
    "a success removed": drop(*GET, "responses", "200"),
    "a media type removed": put(*GET, "responses", "200", "content", value={}),
    "a header removed": drop(*GET, "responses", "200", "headers", "ETag"),
    "a member of an answer removed": drop(*THING, "properties", "id"),
    "a member of an answer not always there": put(*THING, "required", value=["state"]),
    "a member of an answer of another type": put(
        *THING, "properties", "id", value={"type": "integer"}
    ),
    "a member of an answer null": put(
        *THING, "properties", "id", value={"type": ["string", "null"]}
    ),
    "a member of an answer of any type": put(*THING, "properties", "id", value={}),
    "another format": put(*THING, "properties", "at", "anyOf", 0, value={"type": "string"}),
    "a parameter removed": drop(*GET, "parameters", 1),
    "a parameter needed": put(*GET, "parameters", 1, "required", value=True),
    "a new parameter needed": added_parameter(required=True),
    "a parameter of another type": put(*GET, "parameters", 1, "schema", value={"type": "boolean"}),
    "a lower maximum": put(*GET, "parameters", 1, "schema", "maximum", value=100),
    "a higher minimum": put(*GET, "parameters", 1, "schema", "minimum", value=2),
    "a word of a request removed": put("components", "schemas", "State", "enum", value=["new"]),
    "a word of an answer added": put(
        "components", "schemas", "State", "enum", value=["new", "old", "lost"]
    ),
    "any word in an answer": drop("components", "schemas", "State", "enum"),
    "certain words only": put(*WISH, "properties", "name", "enum", value=["a", "b"]),
    "a body needed": put(*BODY, "required", value=True),
    "no body any more": drop(*BODY),
    "a new member of a request needed": put(*WISH, "required", value=["name", "ttl"]),
    "a member of a request removed": drop(*WISH, "properties", "ttl"),
    "null not taken any more": put(*WISH, "properties", "ttl", value={"type": "integer"}),
    "a shorter text": put(*WISH, "properties", "name", "maxLength", value=20),
    "a pattern": put(*WISH, "properties", "name", "pattern", value="^a"),
}
HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a new path": put("paths", "/more", value={"get": {"operationId": "x", "responses": {}}}),
    "a new optional parameter": added_parameter(required=False),
    "a failure removed": drop(*GET, "responses", "404"),
    "a failure added": put(*GET, "responses", "409", value={}),
    "a new member of an answer": put(*THING, "properties", "new", value={"type": "string"}),
    "a member of an answer always there": put(*THING, "required", value=["id", "state", "at"]),
    "a member of an answer never null": put(
        *THING, "properties", "at", value={"type": "string", "format": "date-time"}
    ),
    "a new optional member of a request": put(*WISH, "properties", "new", value={"type": "string"}),
    "a member of a request not needed": put(*WISH, "required", value=[]),
    "a longer text": put(*WISH, "properties", "name", "maxLength", value=60),
    "a word of a request added": put(
        *GET, "parameters", 0, "schema", value={"type": "string", "enum": ["new", "old", "lost"]}
    ),
    "a word of an answer that comes no more": put(
        *THING, "properties", "state", value={"type": "string", "enum": ["new"]}
    ),
    "a number instead of an integer": put(
        *WISH, "properties", "ttl", value={"type": ["number", "null"]}
    ),
    "no key needed": drop(*GET, "security"),
    "other words": put(*GET, "summary", value="Things"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_noticed(name: str) -> None:
    changed = deepcopy(DOCUMENT)
    BREAKS[name](changed)
    assert breaks(DOCUMENT, changed)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_compatible_change_passes(name: str) -> None:
    changed = deepcopy(DOCUMENT)
    HARMLESS[name](changed)
    assert breaks(DOCUMENT, changed) == []


def test_our_own_document_does_not_break_itself() -> None:
    assert breaks(committed(), committed()) == []


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("0.1.0", "0.1.1", True),
        ("0.1.0", "0.1.0", True),
        ("0.1.9", "0.2.0", False),
        ("0.9.0", "1.0.0", False),
        ("1.4.0", "1.5.0", True),
        ("1.4.0", "2.0.0", False),
    ],
)
def test_a_break_needs_a_version_that_says_so(old: str, new: str, refused: bool) -> None:  # noqa: FBT001
    assert needs_new_version(old, new) is refused


def test_nothing_released_is_broken_unless_the_version_says_so() -> None:
    """Holds the document to the last `openapi/released/…/openapi.json`, once there is one."""
    former = released()
    if former is None:
        pytest.skip("nothing has been released yet")
    document = committed()
    if needs_new_version(former["info"]["version"], document["info"]["version"]):
        assert breaks(former, document) == []
