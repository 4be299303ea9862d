import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from app.api.application import api_document
from app.api.document.answers import CALLS
from app.api.document.examples import EXAMPLES
from app.api.document.feed import _merged
from app.cli import app
from app.domain.api_key import Scope
from app.errors import ApiError, PageError
from tests.api.conftest import Service
from tests.openapi.documents import FOLDER, committed, operations
from tests.openapi.validation import faults

DOCUMENT = api_document()


def named(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(node["operationId"], node) for _, _, node in operations(document)]


def test_the_committed_document_is_that_of_the_code() -> None:
    assert committed() == api_document(), "run `make openapi`"


def test_the_command_prints_it_without_a_database_or_settings() -> None:
    printed = CliRunner().invoke(app, ["openapi"])
    assert printed.exit_code == 0
    assert printed.stdout == (FOLDER / "openapi.json").read_text("utf-8")


def test_the_command_writes_it_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "document.json"
    assert CliRunner().invoke(app, ["openapi", "--output", str(file)]).exit_code == 0
    assert json.loads(file.read_text("utf-8")) == api_document()


def test_the_service_serves_it(service: Service) -> None:
    assert service.client.get("/openapi.json").json() == committed()


def test_every_operation_says_how_it_can_fail() -> None:
    """An operation without an entry in `CALLS` would already have ended the import above."""
    assert {name for name, _ in named(DOCUMENT)} == set(CALLS)


def test_operation_ids_are_short_and_stand_once() -> None:
    names = [name for name, _ in named(DOCUMENT)]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and len(name) < 24 for name in names)


def test_every_tag_is_described() -> None:
    used = {tag for _, node in named(DOCUMENT) for tag in node["tags"]}
    used |= {tag for one in DOCUMENT["webhooks"].values() for tag in one["post"]["tags"]}
    assert used == {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}


def test_every_schema_is_one_of_json_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_schema_of_objects_has_an_example() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {name for name, one in schemas.items() if one.get("type") == "object"} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_what_the_schema_says(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}"}
    assert faults(DOCUMENT, schema, EXAMPLES[name]) == []


def test_every_answer_and_body_has_examples_that_fit() -> None:
    checked = 0
    for name, node in named(DOCUMENT):
        for holder in (node.get("requestBody", {}), *node["responses"].values()):
            for media in holder.get("content", {}).values():
                for example in media.get("examples", {}).values():
                    if "$ref" not in example:
                        assert faults(DOCUMENT, media["schema"], example["value"]) == [], name
                        checked += 1
    assert checked > 100


def test_every_failure_is_a_problem_with_an_example_of_its_status() -> None:
    for name, node in named(DOCUMENT):
        for status, answer in node["responses"].items():
            if status[0] in "45":
                problem = answer["content"]["application/problem+json"]
                assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
                statuses = {one["value"]["status"] for one in problem["examples"].values()}
                assert statuses == {int(status)}, name


def test_every_error_of_ours_is_an_answer_of_some_call() -> None:
    documented = {failure.slug for call in CALLS.values() for failure in call.failures}
    documented |= {"unauthorized", "forbidden", "overloaded"}
    errors = [ApiError]
    for error in errors:
        errors += [one for one in error.__subclasses__() if one is not PageError]
    # These two are families, and our own fault.
    families = {"internal-error", "routee-error"}
    assert {error.slug for error in errors} - families <= documented


def test_every_parameter_is_described() -> None:
    for name, node in named(DOCUMENT):
        for parameter in node.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])


def test_every_member_is_described() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for member, node in schema.get("properties", {}).items():
            assert node.get("description"), (name, member)


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every object in *value*."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


SCHEMAS = {
    name: {key: value for key, value in schema.items() if key != "examples"}
    for name, schema in DOCUMENT["components"]["schemas"].items()
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_generators_can_make_a_type_of_every_member(name: str) -> None:
    """No member of the type null alone, no constant that is no text, no number as a format."""
    for node in nodes(SCHEMAS[name].get("properties", {})):
        assert node.get("type") != "null" or set(node) == {"type"}
        assert isinstance(node.get("const", ""), str)
        assert node.get("format") in {None, "uuid", "date-time", "uri"}
    for member, node in SCHEMAS[name].get("properties", {}).items():
        assert node.get("type") != "null", member
        assert {"type", "$ref", "anyOf"} & set(node), f"{member} has no type"


def test_money_is_a_text_without_a_form_that_generators_misread() -> None:
    shown = [
        (name, member, schema["properties"][member])
        for name, schema in SCHEMAS.items()
        for member in ("price", "cost")
        if member in schema.get("properties", {}) and "Callback" not in name
    ]
    assert len(shown) > 5
    for name, member, node in shown:
        kinds = [one.get("type") for one in node.get("anyOf", [node])]
        assert kinds in (["string", "null"], [["string", "null"]]), (name, member)
        assert not {"format", "pattern"} & {key for one in nodes(node) for key in one}


def test_an_enumeration_says_that_it_is_closed() -> None:
    closed = [schema for schema in SCHEMAS.values() if "enum" in schema]
    assert closed
    assert all("closed set" in schema["description"] for schema in closed)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("FeedItem", "type"),
        ("FeedItem", "source"),
        ("FeedData", "reason"),
        ("FeedData", "providerStatus"),
        ("HistoryItem", "reason"),
        ("HistoryItem", "source"),
        ("Campaign", "state"),
        ("Campaign", "type"),
        ("CampaignWarning", "code"),
        ("CampaignProgress", "campaignStatus"),
        ("Message", "detailedStatus"),
    ],
)
def test_words_that_may_become_more_are_plain_texts(name: str, member: str) -> None:
    node = SCHEMAS[name]["properties"][member]
    assert not {"enum", "const", "$ref"} & {key for one in nodes(node) for key in one}
    assert "open set" in node["description"].lower()


@pytest.mark.parametrize("type_", ["campaign.finished", "message.read", ""])
def test_an_item_of_a_type_that_is_not_known_yet_fits_the_document(type_: str) -> None:
    page = EXAMPLES["FeedPage"]
    item = page["items"][0] | {"type": type_, "data": {"somethingNew": 1}}
    schema = {"$ref": "#/components/schemas/FeedPage"}
    assert faults(DOCUMENT, schema, page | {"items": [item]}) == []


def test_a_member_of_several_types_of_items_has_the_type_that_each_gives_it() -> None:
    text, status, null = {"type": "string"}, {"$ref": "#/x"}, {"type": "null"}
    kinds: list[dict[str, Any]] = [
        {"a": text, "b": status, "c": text},
        {"a": text, "b": {"anyOf": [status, null]}},
        {"b": status, "d": {"anyOf": [text, null]}},
    ]
    nullable = {"a": text, "b": {"anyOf": [status, null]}, "c": text}
    for order in (kinds, kinds[::-1]):
        assert _merged(order) == nullable | {"d": {"anyOf": [text, null]}}


def test_each_open_call_says_that_it_needs_no_key() -> None:
    for name, node in named(DOCUMENT):
        assert (node["security"] == []) == (CALLS[name].scope is None), name


def test_no_tag_is_that_of_a_path_and_of_a_webhook() -> None:
    """Generators make a file of each tag, and a second one for the webhooks."""
    of_paths = {tag for _, node in named(DOCUMENT) for tag in node["tags"]}
    of_webhooks = {tag for one in DOCUMENT["webhooks"].values() for tag in one["post"]["tags"]}
    assert not of_paths & of_webhooks


def test_the_example_of_a_missing_scope_names_the_scope() -> None:
    for name, node in named(DOCUMENT):
        scope = CALLS[name].scope
        if scope is not None:
            problem = node["responses"]["403"]["content"]["application/problem+json"]
            (example,) = problem["examples"].values()
            assert f"`{scope}`" in example["value"]["detail"], name


def test_the_document_calls_errors_errors() -> None:
    words = json.dumps([DOCUMENT["paths"], DOCUMENT["components"], DOCUMENT["webhooks"]])
    assert "fault" not in words.lower().replace("default", "")


def test_no_reference_leads_nowhere() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"#/components/')[1:]:
        kind, name = part.split('"')[0].split("/")
        assert name in DOCUMENT["components"][kind]


def test_no_component_is_unused() -> None:
    text = json.dumps(DOCUMENT)
    for kind, components in DOCUMENT["components"].items():
        if kind != "securitySchemes":
            for name in components:
                assert f'"#/components/{kind}/{name}"' in text, name


def test_serving_the_document_does_not_change_it(service: Service) -> None:
    before = deepcopy(api_document())
    service.client.get("/openapi.json")
    assert api_document() == before


@pytest.mark.parametrize("scope", list(Scope))
def test_each_call_needs_the_scope_that_the_document_names(service: Service, scope: Scope) -> None:
    _, key = service.add_key(scope)
    for method, path, node in operations(DOCUMENT):
        call = CALLS[node["operationId"]]
        if call.scope is None:
            continue
        target = path.replace("{trackingId}", "nothing").replace("{id}", "nothing")
        headers = {"Authorization": f"Bearer {key}"}
        answer = service.client.request(method.upper(), target, headers=headers)
        allowed = scope in {call.scope, Scope.ADMIN}
        assert (answer.status_code != 403) is allowed, (node["operationId"], answer.text)
        stranger = service.client.request(method.upper(), target)
        assert stranger.status_code == 401, node["operationId"]
        assert stranger.headers["www-authenticate"] == "Bearer"


def test_a_member_that_is_described_lends_its_description_to_no_other() -> None:
    callback = DOCUMENT["components"]["schemas"]["InboundCallback"]["properties"]
    assert callback["message"]["description"] == "The text of the reply."
    assert callback["to"]["description"] == "The Viber sender it was sent to."


def test_callbacks_are_documented_as_paths_and_as_webhooks() -> None:
    assert set(DOCUMENT["webhooks"]) == {
        "statusCallback",
        "inboundCallback",
        "campaignProgressCallback",
    }
    for kind in ("status", "inbound"):
        assert {"post", "get", "head"} < set(DOCUMENT["paths"][f"/callbacks/{{token}}/{kind}"])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("StatusCallback", "progress"),
        ("InboundCallback", "inbound"),
        ("CampaignProgressCallback", "campaign_progress"),
    ],
)
def test_the_documented_payloads_are_what_the_webhooks_say(name: str, file: str) -> None:
    body = json.loads((FOLDER.parent / "tests" / "payloads" / f"{file}.json").read_bytes())
    assert faults(DOCUMENT, {"$ref": f"#/components/schemas/{name}"}, body) == []
