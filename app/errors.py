"""
The only file that knows every way in which a request can fail.

    ReceiverError
    ├── ConfigurationError            a setting is missing or unusable; the process does not start
    ├── DatabaseUnavailable           the database cannot answer now; trying again later helps
    ├── SchemaOutdated                the database has another schema version than this code
    └── ApiError                      has an HTTP status and is answered as problem+json
        ├── NotFound                  404
        ├── Unauthorized              401
        ├── Forbidden                 403
        ├── InvalidCursor             400
        ├── InvalidRequest            422, with the list of faults
        ├── CampaignNameInUse         409
        ├── LaunchingNotConfigured    503
        ├── Overloaded                503, with Retry-After
        └── RouteeError               Routee did not do what it was asked
            ├── RouteeRefused         422: it answered with one of its documented refusals
            └── RouteeUnavailable     502: no token, no connection, no usable answer
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar


class ReceiverError(Exception):
    """Something the service itself has foreseen."""


class ConfigurationError(ReceiverError):
    """A setting is missing or unusable; the message says how to mend it."""


class DatabaseUnavailable(ReceiverError):
    """The database cannot make anything durable, or answer, at the moment."""


class SchemaOutdated(ReceiverError):
    """The database has another schema version than this code needs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where, what to do, and Routee's codes if it has any."""

    field: str
    message: str
    code: str | None = None
    error_code: str | None = None


class ApiError(ReceiverError):
    """An answer other than success, as `application/problem+json` (RFC 9457)."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        faults: tuple[Fault, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.faults = faults
        self.retry_after_seconds = retry_after_seconds


class NotFound(ApiError):
    """There is nothing of that id."""

    status = HTTPStatus.NOT_FOUND
    slug = "not-found"
    title = "Not found"


class Unauthorized(ApiError):
    """The request has no API key, or one that is unknown, expired or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "unauthorized"
    title = "A valid API key is needed"


class Forbidden(ApiError):
    """The API key lacks the scope that this call needs."""

    status = HTTPStatus.FORBIDDEN
    slug = "forbidden"
    title = "The API key lacks a scope"


class InvalidCursor(ApiError):
    """The cursor was not made by this endpoint with these filters, or was changed since."""

    status = HTTPStatus.BAD_REQUEST
    slug = "invalid-cursor"
    title = "The cursor is not valid here"


class InvalidRequest(ApiError):
    """The request breaks a rule; `faults` names every one found."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "invalid-request"
    title = "The request is not valid"


class CampaignNameInUse(ApiError):
    """A campaign of that name is being launched or was launched."""

    status = HTTPStatus.CONFLICT
    slug = "campaign-name-in-use"
    title = "The campaign name is in use"


class LaunchingNotConfigured(ApiError):
    """Settings that launching needs are not set; the detail names them."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "launching-not-configured"
    title = "Launching campaigns is not configured"


class Overloaded(ApiError):
    """More work is waiting than can be done in time; the caller should come back later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "overloaded"
    title = "The service is busy"


class RouteeError(ApiError):
    """Routee did not do what it was asked."""

    status = HTTPStatus.BAD_GATEWAY
    slug = "routee-error"
    title = "Routee did not do what it was asked"


class RouteeRefused(RouteeError):
    """Routee answered with a refusal; the faults carry its `code` and `errorCode`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "routee-refused"
    title = "Routee refused the request"

    def __init__(  # noqa: PLR0913 (every part of Routee's error body)
        self,
        detail: str | None = None,
        *,
        http_status: int,
        code: str | None = None,
        error_code: str | None = None,
        developer_message: str | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        super().__init__(detail or developer_message, faults=faults)
        self.http_status = http_status
        self.code = code
        self.error_code = error_code
        self.developer_message = developer_message


class RouteeUnavailable(RouteeError):
    """Routee gave no token, no connection, or no answer that could be used."""

    slug = "routee-unavailable"
    title = "Routee could not be reached"
