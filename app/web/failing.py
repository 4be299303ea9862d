"""Errors as pages: what happened, what became of callbacks, and what to do."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import structlog
from starlette.responses import Response

from app.errors import (
    ApiError,
    DatabaseUnavailable,
    Forbidden,
    MethodNotAllowed,
    ReceiverError,
    SchemaOutdated,
)
from app.web.visit import Visit

log = structlog.get_logger()

_RETRY_AFTER_SECONDS: Final = 2
#: A database that takes longer to say whether it stores callbacks does not.
_READINESS_SECONDS: Final = 2.0


async def error_page(visit: Visit, error: Exception) -> Response:
    """The page that says what *error* means."""
    status, heading, sentences = await _words(visit, error)
    answer = visit.page(
        "error.html",
        title=heading,
        status=status,
        # Nothing may be quoted here that has a secret.
        sentences=[visit.parts.mask.shown(sentence) for sentence in sentences],
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )
    wait = getattr(error, "retry_after_seconds", None)
    if status is HTTPStatus.SERVICE_UNAVAILABLE or wait is not None:
        answer.headers["Retry-After"] = str(wait or _RETRY_AFTER_SECONDS)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(error.allowed)
    if status in {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT}:
        answer.headers["Connection"] = "close"  # the rest of the form is not read
    return answer


async def _words(visit: Visit, error: Exception) -> tuple[HTTPStatus, str, list[str]]:
    """The status, the heading and what follows it."""
    if isinstance(error, Forbidden) and visit.person is not None:
        scopes = ", ".join(sorted(visit.person.scopes)) or "none"
        detail = [error.detail or "", f"You are signed in as {visit.person.name}: {scopes}."]
        return error.status, "Your API key may not do this", detail
    if isinstance(error, ApiError):
        faults = [f"{fault.field}: {fault.message}" for fault in error.faults]
        return error.status, error.title, [text for text in (error.detail, *faults) if text]
    if isinstance(error, DatabaseUnavailable):
        log.warning("a page cannot be shown, as the database does not answer", error=str(error))
        return (
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database does not answer",
            ["Nothing was lost.", await _what_becomes_of_callbacks(visit)],
        )
    if isinstance(error, SchemaOutdated):
        return HTTPStatus.SERVICE_UNAVAILABLE, "The database has another version", [str(error)]
    return (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        ApiError.title,
        ["The log of the service has the details, under the id below."],
    )


async def _what_becomes_of_callbacks(visit: Visit) -> str:
    parts = visit.parts
    if not parts.receives_callbacks:
        return "Other processes receive the callbacks; their /readyz says whether they do."
    if parts.readiness.buffer is None:
        obstacle: Exception | None = None
        try:
            async with asyncio.timeout(_READINESS_SECONDS):
                await parts.readiness.require()
        except (ReceiverError, TimeoutError) as error:
            obstacle = error
        if obstacle is None:
            return "Callbacks are being taken: only reading for the dashboard failed."
        return (
            "Callbacks are not being taken: they are answered 503, and Routee sends them again, "
            "up to twelve times in 40 hours."
        )
    with suppress(ReceiverError):
        await parts.readiness.require()
        return "Callbacks are being taken: the buffer keeps them until the database is back."
    return (
        "Callbacks are not being taken, as the buffer is unusable as well: they are answered 503, "
        "and Routee sends them again, up to twelve times in 40 hours."
    )
