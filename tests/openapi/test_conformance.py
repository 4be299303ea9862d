"""The served application against its document: whatever is asked, the answer is documented."""

from copy import deepcopy
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.api.document.answers import CALLS
from app.domain.api_key import Scope
from app.errors import InvalidRequest
from tests.api.conftest import SECRET, Service, campaign_request
from tests.openapi.conftest import ERASED, Stored
from tests.openapi.documents import committed, operations

AnyCase = Case[Any]

pytestmark = pytest.mark.timeout(600)

QUICK, DEEP = 20, 400

DOCUMENT = committed()
PLACES = {node["operationId"]: (path, method) for method, path, node in operations(DOCUMENT)}
#: What can be asked wrongly. Ids cannot, and callbacks cannot: bad data is kept, not refused.
REFUSING = [
    name
    for name, call in CALLS.items()
    if any(failure.slug == InvalidRequest.slug for failure in call.failures)
]
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def strategy(
    name: str, mode: GenerationMode, document: dict[str, Any]
) -> st.SearchStrategy[AnyCase]:
    schema = schemathesis.openapi.from_dict(document)
    # Keys and unknown parameters have tests of their own.
    schema.config.generation.update(allow_extra_parameters=False, with_security_parameters=False)
    path, method = PLACES[name]
    return schema[path][method.upper()].as_strategy(mode)


def ask(  # noqa: PLR0913 (what differs between the tests)
    name: str,
    mode: GenerationMode,
    service: Service,
    stored: Stored,
    *,
    examples: int,
    document: dict[str, Any] = DOCUMENT,
) -> None:
    headers = {} if CALLS[name].scope is None else service.bearer(Scope.ADMIN)
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS

    @settings(
        max_examples=examples,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(strategy(name, mode, document), st.integers(0, 3))
    def holds(case: AnyCase, known: int) -> None:
        # Each number that is new would be one more erasure to perform.
        if mode is GenerationMode.POSITIVE and (known or name == "eraseRecipient"):
            name_what_is_stored(case, stored)
            if name == "launchCampaign":
                case.body = campaign_request()
        shorten_the_wait(case)
        case.call_and_validate(base_url=service.url, headers=headers, checks=checks)

    holds()


def name_what_is_stored(case: AnyCase, stored: Stored) -> None:
    """Ids that somebody makes up are answered 404, which is a small part of the document."""
    ids: dict[str, Any] = {
        "token": SECRET,
        "id": _row_of(case, stored),
        "number": ERASED,
        "trackingId": stored.campaign_id if "/campaigns/" in case.path else stored.message_id,
    }
    for name in case.path_parameters:
        case.path_parameters[name] = ids[name]


def _row_of(case: AnyCase, stored: Stored) -> str:
    if "/erasures/" in case.path:
        return stored.erasure_id
    if "/quarantine/" in case.path:
        return stored.dropped_id if case.method == "DELETE" else stored.body_id
    return stored.reply_id


def shorten_the_wait(case: AnyCase) -> None:
    wait = case.query.get("wait")
    if isinstance(wait, float | int) and 0 < wait <= 30:
        case.query["wait"] = 0.01


@pytest.mark.parametrize("name", PLACES)
def test_every_answer_is_a_documented_one(name: str, service: Service, stored: Stored) -> None:
    ask(name, GenerationMode.POSITIVE, service, stored, examples=QUICK)


@pytest.mark.parametrize("name", REFUSING)
def test_what_the_document_forbids_is_refused(name: str, service: Service, stored: Stored) -> None:
    ask(name, GenerationMode.NEGATIVE, service, stored, examples=QUICK)


def without(*place: str) -> dict[str, Any]:
    document = deepcopy(DOCUMENT)
    node = document
    for name in place[:-1]:
        node = node[name]
    del node[place[-1]]
    return document


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("getMessage", ("paths", "/v1/messages/{trackingId}", "get", "responses", "404")),
        ("getMessage", ("components", "schemas", "Message", "properties", "price", "anyOf")),
        ("launchCampaign", ("paths", "/v1/campaigns", "post", "responses", "201")),
    ],
)
def test_an_answer_that_is_not_documented_is_noticed(
    name: str, place: tuple[str, ...], service: Service, stored: Stored
) -> None:
    document = without(*place)
    if place[-1] == "anyOf":
        document["components"]["schemas"]["Message"]["properties"]["price"]["type"] = "integer"
    with pytest.raises(FailureGroup):
        ask(name, GenerationMode.POSITIVE, service, stored, examples=QUICK, document=document)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_every_answer_is_a_documented_one_in_the_long_run(
    name: str, service: Service, stored: Stored
) -> None:
    ask(name, GenerationMode.POSITIVE, service, stored, examples=DEEP)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSING)
def test_what_the_document_forbids_is_refused_in_the_long_run(
    name: str, service: Service, stored: Stored
) -> None:
    ask(name, GenerationMode.NEGATIVE, service, stored, examples=DEEP)
