"""Errors as answers of type `application/problem+json` (RFC 9457)."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from app.domain.masking import SecretMask
from app.errors import (
    ApiError,
    DatabaseUnavailable,
    Fault,
    InvalidRequest,
    LaunchInProgress,
    RouteeRefused,
    SchemaOutdated,
)
from app.kit.log_limiter import LogLimiter

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:routee-receiver:problem:"
_RETRY_AFTER_SECONDS: Final = 2
_unavailable: Final = LogLimiter(1.0)
#: What an answer of a status must say in its headers (RFC 9110, sections 11.6.1 and 12.5.3).
_HEADERS: Final = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {"Accept-Encoding": "identity"},
}


def register_problems(app: FastAPI) -> None:
    """Make *app* answer all its errors as problems."""
    for kind in _ANSWERS:
        app.add_exception_handler(kind, _on_error)


async def _on_error(request: Request, error: Exception) -> Response:
    return answer_to(error, request)


def answer_to(error: Exception, request: Request) -> Response:
    """The answer to *request* for any error. It can quote the request, but no secret of ours."""
    answer = problem_of(error)
    parts = getattr(request.app.state, "parts", None)
    return answer if parts is None else _masked(answer, parts.mask)


def problem_of(error: Exception) -> Response:
    """The answer for any error, for what knows no parts. It may quote what the error quotes."""
    return next(answer for kind, answer in _ANSWERS.items() if isinstance(error, kind))(error)


def _masked(answer: Response, mask: SecretMask) -> Response:
    body = bytes(answer.body)
    masked = mask.octets(body)
    if masked is body:
        return answer
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return Response(masked, answer.status_code, headers)


def problem(  # noqa: PLR0913 (the members of RFC 9457 and ours)
    status: int,
    *,
    slug: str,
    title: str,
    detail: str | None = None,
    faults: tuple[Fault, ...] = (),
    headers: dict[str, str] | None = None,
    **members: Any,  # noqa: ANN401 (extension members are any JSON)
) -> JSONResponse:
    """An answer with one problem; members that are None are left out."""
    content = {"type": _TYPE + slug, "title": title, "status": status, "detail": detail, **members}
    content["requestId"] = structlog.contextvars.get_contextvars().get("request_id")
    if faults:
        content["errors"] = [_error(fault) for fault in faults]
    present = {name: value for name, value in content.items() if value is not None}
    return JSONResponse(present, status, headers, MEDIA_TYPE)


def _error(fault: Fault) -> dict[str, str]:
    codes = {"code": fault.code, "errorCode": fault.error_code}
    given = {name: code for name, code in codes.items() if code is not None}
    return {"field": fault.field, "message": fault.message, **given}


def _on_api_error(error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 (registered for it)
    headers = dict(_HEADERS.get(error.status, {}))
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, LaunchInProgress) and error.location is not None:
        headers["Location"] = error.location
    members = {}
    if isinstance(error, RouteeRefused):
        members = {
            "code": error.code,
            "errorCode": error.error_code,
            "developerMessage": error.developer_message,
        }
    return problem(
        error.status,
        slug=error.slug,
        title=error.title,
        detail=error.detail,
        faults=error.faults,
        headers=headers,
        **members,
    )


def _on_database_unavailable(error: Exception) -> JSONResponse:
    if times := _unavailable.due():
        log.warning("the database is unavailable", error=str(error), times=times)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        slug="database-unavailable",
        title="The database does not answer",
        detail="Nothing was lost. Please try again.",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def _on_schema_outdated(error: Exception) -> JSONResponse:
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        slug="schema-outdated",
        title="The database has another schema version",
        detail=str(error),
    )


def _on_invalid(error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for it)
    faults = tuple(Fault(_field(fault), fault["msg"]) for fault in error.errors())
    return _on_api_error(InvalidRequest(faults=faults))


def _field(fault: Mapping[str, Any]) -> str:
    """The name of the faulty parameter, or the path of the faulty member of the body."""
    if fault["loc"][0] == "query":  # a parameter that takes many values has their index as well
        return str(fault["loc"][1])
    # The path in a body that is not JSON is only an offset.
    inside = () if fault["type"] == "json_invalid" else fault["loc"][1:]
    return ".".join(map(str, inside)) or "body"


def _on_http_exception(error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
    status = HTTPStatus(error.status_code)
    slug = status.phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    return problem(status, slug=slug, title=status.phrase, headers=headers)


def _on_anything(error: Exception) -> JSONResponse:
    log.error("unexpected error", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, slug=ApiError.slug, title=ApiError.title)


#: The first matching type counts.
_ANSWERS: Final[dict[type[Exception], Callable[[Exception], JSONResponse]]] = {
    ApiError: _on_api_error,
    DatabaseUnavailable: _on_database_unavailable,
    SchemaOutdated: _on_schema_outdated,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http_exception,
    Exception: _on_anything,
}
