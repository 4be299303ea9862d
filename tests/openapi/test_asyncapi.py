"""The AsyncAPI document of the feed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from app.api.application import api_document
from app.api.document.asyncapi import asyncapi_of
from app.cli import app
from app.domain.feed import FeedItemType
from tests.openapi.documents import FOLDER

FILE = FOLDER / "asyncapi.yaml"
DOCUMENT = asyncapi_of(api_document())
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
_CHECK = """
const { Parser } = require("@asyncapi/parser");
const text = require("fs").readFileSync(process.argv[2], "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => {
  const errors = diagnostics.filter((one) => one.severity === 0);
  console.log(JSON.stringify({
    errors: errors.map((one) => `${one.path.join(".")}: ${one.message}`),
    messages: document ? document.allMessages().all().map((one) => one.name()) : [],
  }));
});
"""


def _resolved(reference: dict[str, str]) -> Any:  # noqa: ANN401
    node: Any = DOCUMENT
    for name in reference["$ref"].removeprefix("#/").split("/"):
        node = node[name]
    return node


def test_the_committed_document_is_that_of_the_code() -> None:
    assert yaml.safe_load(FILE.read_text("utf-8")) == DOCUMENT, "run `make openapi`"


def test_the_command_prints_it_without_a_database_or_settings(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["openapi", "--asyncapi"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == DOCUMENT
    file = tmp_path / "asyncapi.json"
    assert CliRunner().invoke(app, ["openapi", "--asyncapi", "--output", str(file)]).exit_code == 0
    assert file.read_text("utf-8") == printed.stdout


def test_every_type_of_the_feed_is_a_message() -> None:
    assert {message["name"] for message in MESSAGES.values()} == set(FeedItemType)
    (channel,) = DOCUMENT["channels"].values()
    told = {name: _resolved(one) for name, one in channel["messages"].items()}
    assert told == MESSAGES
    (operation,) = DOCUMENT["operations"].values()
    assert _resolved(operation["channel"]) == channel
    assert [_resolved(_resolved(one)) for one in operation["messages"]] == [*MESSAGES.values()]


@pytest.mark.parametrize("name", MESSAGES)
def test_the_examples_of_a_message_are_what_its_schema_says(name: str) -> None:
    message = MESSAGES[name]
    whole = {"components": DOCUMENT["components"], **message["payload"]}
    Draft7Validator.check_schema(_resolved(message["payload"]))
    assert message["examples"]
    for example in message["examples"]:
        assert example["payload"]["type"] == message["name"]
        assert list(Draft7Validator(whole).iter_errors(example["payload"])) == []


def test_a_message_of_another_type_does_not_fit() -> None:
    status, reply = MESSAGES["messageStatus"], MESSAGES["messageInbound"]
    whole = {"components": DOCUMENT["components"], **status["payload"]}
    assert list(Draft7Validator(whole).iter_errors(reply["examples"][0]["payload"]))


def test_the_schemas_are_those_of_the_api_and_all_are_used() -> None:
    theirs = api_document()["components"]["schemas"]
    ours = DOCUMENT["components"]["schemas"]
    assert "InboundMessage" in ours.keys() & theirs.keys()
    for name in ours.keys() & theirs.keys():
        assert ours[name] == {key: one for key, one in theirs[name].items() if key != "examples"}
    # There, one open schema stands for all items.
    for message in MESSAGES.values():
        item = _resolved(message["payload"])["properties"]
        assert item.keys() == theirs["FeedItem"]["properties"].keys()
        data = _resolved(item["data"])["properties"]
        assert data.keys() <= theirs["FeedData"]["properties"].keys()
    text = json.dumps(DOCUMENT)
    assert all(f'"#/components/schemas/{name}"' in text for name in ours)


@pytest.mark.slow
def test_the_parser_of_asyncapi_finds_no_error(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("there is no Node.js")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "@asyncapi/parser@3"]
    if subprocess.run(install, cwd=tmp_path, check=False, timeout=300).returncode:  # noqa: S603
        pytest.skip("the parser cannot be installed")
    (tmp_path / "check.js").write_text(_CHECK)
    ran = subprocess.run(  # noqa: S603
        [node, "check.js", str(FILE)], cwd=tmp_path, check=True, capture_output=True, timeout=120
    )
    found = json.loads(ran.stdout)
    assert found["errors"] == []
    assert set(found["messages"]) == set(FeedItemType)
