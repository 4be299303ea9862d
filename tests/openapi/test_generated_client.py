"""A client that a generator writes from the document alone, against the running service."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import SECRET, Service, campaign_request
from tests.openapi.conftest import Stored
from tests.openapi.documents import FOLDER, committed, operations

PACKAGE = "generated_receiver_client"
GET = {
    node["operationId"]: path for method, path, node in operations(committed()) if method == "get"
}
TAGS = {
    node["operationId"]: node["tags"][0].replace(" ", "_") for _, _, node in operations(committed())
}
#: What the document leaves untyped: the text of Prometheus.
UNTYPED = {"getMetrics"}


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("client")
    settings = folder / "settings.json"
    settings.write_text(json.dumps({"post_hooks": []}))
    generator = Path(sys.executable).with_name("openapi-python-client")
    paths: list[str | Path] = ["--path", FOLDER / "openapi.json", "--output-path", folder / PACKAGE]
    done = subprocess.run(  # noqa: S603 (a tool of ours)
        [generator, "generate", "--meta", "none", "--config", settings, *paths],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "WARNING" not in done.stdout + done.stderr, done.stdout
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(f"{PACKAGE}.client")
    finally:
        sys.path.remove(str(folder))


def call(name: str, generated: ModuleType, service: Service, **arguments: Any) -> Any:  # noqa: ANN401
    module = importlib.import_module(f"{PACKAGE}.api.{TAGS[name]}.{_snake(name)}")
    key = service.bearer(Scope.ADMIN)["Authorization"].removeprefix("Bearer ")
    with generated.AuthenticatedClient(
        base_url=service.url, token=key, raise_on_unexpected_status=True
    ) as client:
        return module.sync_detailed(client=client, **arguments)


def _snake(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name)


@pytest.mark.parametrize("name", GET)
def test_every_read_is_understood(
    name: str, generated: ModuleType, service: Service, stored: Stored
) -> None:
    path = GET[name]
    arguments = {}
    if "{trackingId}" in path:
        is_campaign = "/campaigns/" in path
        arguments["tracking_id"] = stored.campaign_id if is_campaign else stored.message_id
    if "{id}" in path:
        rows = {"getErasure": stored.erasure_id, "getQuarantined": stored.body_id}
        arguments["id"] = rows.get(name, stored.reply_id)
    if "{token}" in path:
        arguments["token"] = SECRET
    if name == "listMessages":
        arguments["campaign_tracking_id"] = stored.campaign_id

    answer = call(name, generated, service, **arguments)

    assert answer.status_code == 200
    if name in UNTYPED:
        return
    if isinstance(answer.parsed, str):  # an export
        assert answer.parsed.encode() == answer.content
        return
    # The generator's models write a UTC offset in another way.
    understood = json.loads(json.dumps(answer.parsed.to_dict()).replace("+00:00", "Z"))
    assert understood == json.loads(answer.content)
    assert understood.get("items") != []


def test_a_lookup_is_understood(generated: ModuleType, service: Service, stored: Stored) -> None:
    models = importlib.import_module(f"{PACKAGE}.models")
    body = models.Lookup(tracking_ids=[stored.message_id, "nothing"])
    answer = call("lookUpMessages", generated, service, body=body)
    assert [one.tracking_id for one in answer.parsed.items] == [stored.message_id]
    assert answer.parsed.not_found == ["nothing"]


def test_a_launch_is_understood(generated: ModuleType, service: Service) -> None:
    models = importlib.import_module(f"{PACKAGE}.models")
    body = models.CampaignRequest.from_dict(campaign_request())
    answer = call("launchCampaign", generated, service, body=body)
    assert answer.status_code == 201
    assert answer.parsed.submission == "launched"
    assert answer.headers["location"] == f"/v1/campaigns/{answer.parsed.id}"


def test_a_problem_is_understood(generated: ModuleType, service: Service) -> None:
    answer = call("getMessage", generated, service, tracking_id="nothing")
    assert answer.status_code == 404
    assert answer.parsed.type_ == "urn:routee-receiver:problem:not-found"
