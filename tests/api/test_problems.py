import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TypeVar

import httpx
import pytest

from app import errors
from app.domain.api_key import Scope
from app.errors import ApiError, PageError, RouteeError
from tests.api.conftest import Service

E = TypeVar("E", bound=Exception)


def _subclasses(parent: type[E]) -> Iterator[type[E]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


def _tree() -> dict[str, str]:
    """The meaning beside each name that is drawn."""
    drawn = errors.__doc__ or ""
    found = re.findall(r"(?:[├└]── |^ {4})([A-Z]\w+)[ ]*([^\n]*)$", drawn, re.MULTILINE)
    return dict(found)


API_ERRORS: list[type[ApiError]] = list(_subclasses(ApiError))


@pytest.mark.parametrize("error", API_ERRORS)
def test_every_error_has_a_status_a_slug_and_a_title_of_its_own(error: type[ApiError]) -> None:
    assert {"slug", "title"} <= vars(error).keys()
    assert error.status in HTTPStatus
    assert error.status >= 400
    assert re.fullmatch("[a-z]+(-[a-z]+)*", error.slug)


def test_no_two_errors_share_a_slug() -> None:
    every: list[type[ApiError]] = [ApiError, *API_ERRORS]
    slugs = [error.slug for error in every]
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize("error", [ApiError, *_subclasses(errors.ReceiverError)])
def test_every_error_is_drawn_in_the_tree(error: type[Exception]) -> None:
    if error.__module__ == errors.__name__:
        assert error.__name__ in _tree()


def test_the_tree_has_no_dead_branch() -> None:
    assert all(hasattr(errors, name) for name in _tree())


_FAMILIES = frozenset({PageError, RouteeError})


@pytest.mark.parametrize("error", [error for error in API_ERRORS if error not in _FAMILIES])
def test_the_tree_names_the_status(error: type[ApiError]) -> None:
    assert _tree()[error.__name__].startswith(str(int(error.status)))


def _is_problem(answer: httpx.Response, status: int, slug: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:routee-receiver:problem:{slug}"
    assert document["status"] == status
    assert document["title"]


def test_an_unknown_path_is_a_problem(service: Service) -> None:
    _is_problem(service.client.get("/v2/messages"), 404, "not-found")
    _is_problem(service.client.get("/v1/nothing/x"), 404, "not-found")
    _is_problem(service.client.get("/"), 404, "not-found")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(service: Service) -> None:
    answer = service.client.put("/v1/campaigns")
    _is_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["allow"]
    _is_problem(service.client.delete("/v1/status/x"), 405, "method-not-allowed")
    _is_problem(service.client.post("/livez"), 405, "method-not-allowed")


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[]", b'"text"', b"null", b"1"])
def test_a_request_that_is_not_an_object_names_the_body(service: Service, body: bytes) -> None:
    headers = service.bearer(Scope.CAMPAIGNS) | {"content-type": "application/json"}
    answer = service.client.post("/v1/campaigns", content=body, headers=headers)
    _is_problem(answer, 422, "invalid-request")
    (error,) = answer.json()["errors"]
    assert error["field"] in {"body", "$"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\xff"}',
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b'{"ttl":' + b"9" * 5000 + b"}",
    ],
)
def test_a_request_that_cannot_be_parsed_is_the_callers_fault(
    service: Service, body: bytes
) -> None:
    headers = service.bearer(Scope.CAMPAIGNS) | {"content-type": "application/json"}
    answer = service.client.post("/v1/campaigns", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
