"""
The only file that knows every way in which a request can fail.

    ReceiverError
    ├── ConfigurationError            a setting is missing or unusable; the process does not start
    │   └── BufferUnsafe              the buffer could lose what it has acknowledged
    ├── DatabaseUnavailable           the database cannot answer now; trying again later helps
    │   └── DatabaseUnusable          it answers, and cannot be used as it is set up
    ├── SchemaOutdated                the database has another schema version than this code
    │   └── SchemaNewer               a newer one, so that migrating cannot help
    ├── PayloadUnreadable             a stored payload cannot be decoded
    ├── BufferUnavailable             the buffer cannot take a batch now; trying again later helps
    │   └── BufferFull                it has no room until batches are stored
    ├── ErasureInProgress             another erasure is under way; a command has to wait for it
    ├── RebuildInProgress             another process rebuilds the projections
    └── ApiError                      has an HTTP status and is answered as problem+json
        ├── NotFound                  404
        ├── Unauthorized              401
        ├── Forbidden                 403
        ├── BodyTooLarge              413
        ├── BodyTooSlow               408
        ├── BodyEncoded               415
        ├── InvalidCursor             400
        ├── CursorExpired             410
        ├── InvalidRequest            422, with the list of errors
        ├── CampaignNameInUse         409
        ├── CampaignNotUnconfirmed    409
        ├── CampaignNotCancellable    409
        ├── CampaignNotLaunched       409
        ├── LaunchInProgress          409, with Location or Retry-After
        ├── LaunchRejected            422
        ├── IdempotencyKeyReused      422
        ├── LaunchingNotConfigured    503
        ├── ErasureNotConfigured      503
        ├── ReconcilingNotConfigured  503
        ├── CannotStore               503
        ├── Overloaded                503, with Retry-After
        ├── TooManyExports            503, with Retry-After
        ├── PageError                 of the dashboard alone, where it is a page
        │   ├── ForeignForm           403
        │   ├── MethodNotAllowed      405
        │   ├── AddressTooLong        414
        │   └── TooManySignIns        429, with Retry-After
        └── RouteeError               Routee did not do what it was asked
            ├── RouteeRefused         422: it answered with a definite refusal
            └── RouteeUnavailable     502: no connection, no usable answer, too busy
                └── RouteeTokenUnavailable  502: it gave no access token, so nothing was asked
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar


class ReceiverError(Exception):
    """A failure that the service expects and reports itself."""


class ConfigurationError(ReceiverError):
    """A setting is missing or unusable; the message says how to correct it."""


class BufferUnsafe(ConfigurationError):
    """The buffer could lose what it has acknowledged; the message has all objections."""

    def __init__(self, objections: Sequence[str]) -> None:
        super().__init__(
            f"The buffer is not durable: {'; '.join(objections)}. For a test, "
            "RECEIVER_BUFFER_UNSAFE=true accepts it."
        )
        self.objections = tuple(objections)


class BufferUnavailable(ReceiverError):
    """The buffer cannot take or give batches at the moment."""


class BufferFull(BufferUnavailable):
    """The buffer has no room until batches are stored."""


class DatabaseUnavailable(ReceiverError):
    """The database cannot store or answer at the moment."""


class DatabaseUnusable(DatabaseUnavailable):
    """The database answers, and cannot be used until it, or the address, is changed."""


class SchemaOutdated(ReceiverError):
    """The database has another schema version than this code needs."""


class SchemaNewer(SchemaOutdated):
    """The database has a newer schema version than this code, and cannot be used by it."""


class PayloadUnreadable(ReceiverError):
    """A stored payload cannot be decoded; the message says why, and quotes nothing."""


class ErasureInProgress(ReceiverError):
    """Another erasure is under way, or waits."""

    def __init__(self) -> None:
        super().__init__("Another erasure is under way. Try again when it is done.")


class RebuildInProgress(ReceiverError):
    """Another process rebuilds the projections."""

    def __init__(self) -> None:
        super().__init__("Another process is rebuilding the projections. Wait until it is done.")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a request: the field, how to correct it, and Routee's codes, if any."""

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
    """No object has that id."""

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


class BodyTooLarge(ApiError):
    """The body of the request is longer than allowed."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "too-large"
    title = "The body is larger than allowed"


class BodyTooSlow(ApiError):
    """The body of the request did not arrive within the time that it may take."""

    status = HTTPStatus.REQUEST_TIMEOUT
    slug = "too-slow"
    title = "The body did not arrive in time"


class BodyEncoded(ApiError):
    """The body of the request has a `Content-Encoding`, such as gzip."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    slug = "encoding-not-supported"
    title = "The body must not be compressed"


class InvalidCursor(ApiError):
    """The cursor was not made by this endpoint with these filters, or was changed since."""

    status = HTTPStatus.BAD_REQUEST
    slug = "invalid-cursor"
    title = "The cursor is not valid here"


class CursorExpired(ApiError):
    """Items beyond the cursor were removed before they were read."""

    status = HTTPStatus.GONE
    slug = "cursor-expired"
    title = "Items beyond the cursor were removed"


class InvalidRequest(ApiError):
    """The request breaks rules; `errors` has an entry for each breach found."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "invalid-request"
    title = "The request is not valid"


class CampaignNameInUse(ApiError):
    """A campaign of that name is being launched or was launched."""

    status = HTTPStatus.CONFLICT
    slug = "campaign-name-in-use"
    title = "The campaign name is in use"


class CampaignNotUnconfirmed(ApiError):
    """Only a launch whose outcome is unknown can be resolved."""

    status = HTTPStatus.CONFLICT
    slug = "campaign-not-unconfirmed"
    title = "The campaign is not unconfirmed"


class CampaignNotCancellable(ApiError):
    """Only a campaign that Routee has accepted can be cancelled."""

    status = HTTPStatus.CONFLICT
    slug = "campaign-not-cancellable"
    title = "The campaign cannot be cancelled"


class CampaignNotLaunched(ApiError):
    """Routee has not accepted the campaign, so it has no messages of it."""

    status = HTTPStatus.CONFLICT
    slug = "campaign-not-launched"
    title = "The campaign is not launched"


class LaunchInProgress(ApiError):
    """The same launch is under way at this moment."""

    status = HTTPStatus.CONFLICT
    slug = "launch-in-progress"
    title = "The same launch is under way"

    def __init__(
        self,
        detail: str | None = None,
        *,
        location: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        #: Where the campaign will show what has become of it.
        self.location = location


class LaunchRejected(ApiError):
    """The idempotency key belongs to a launch that was refused; the detail says why."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "launch-rejected"
    title = "The launch under this key was refused"


class IdempotencyKeyReused(ApiError):
    """The idempotency key belongs to another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "idempotency-key-reused"
    title = "The Idempotency-Key belongs to another request"


class LaunchingNotConfigured(ApiError):
    """Settings that launching needs are not set; the detail names them."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "launching-not-configured"
    title = "Launching campaigns is not configured"


class ErasureNotConfigured(ApiError):
    """There is no key for the hashes that recognise erased recipients."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "erasure-not-configured"
    title = "Erasing recipients is not configured"


class ReconcilingNotConfigured(ApiError):
    """Settings that asking Routee's tracking needs are not set; the detail names them."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "reconciling-not-configured"
    title = "Comparing with Routee's tracking is not configured"


class CannotStore(ApiError):
    """The database answers, but does not store what it is given; the detail says what is known."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "cannot-store"
    title = "Callbacks cannot be stored"


class Overloaded(ApiError):
    """More work is waiting than can be done in time; the caller should try again later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "overloaded"
    title = "The service is busy"


class TooManyExports(ApiError):
    """This process already runs the maximum number of exports."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "too-many-exports"
    title = "Other exports are under way"


class PageError(ApiError):
    """Something that only pages of the dashboard can meet; it is shown as a page."""

    slug = "page-error"
    title = "The page cannot be shown"


class ForeignForm(PageError):
    """A form of the dashboard was not sent by a page of it that the person has open."""

    status = HTTPStatus.FORBIDDEN
    slug = "foreign-form"
    title = "The form is not one of this session"


class MethodNotAllowed(PageError):
    """The page is not for the method of the request."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    slug = "method-not-allowed"
    title = "This page cannot be called that way"

    def __init__(self, detail: str, *, allowed: Iterable[str]) -> None:
        super().__init__(detail)
        #: The methods that the page is for (RFC 9110, section 15.5.6).
        self.allowed = tuple(allowed)


class AddressTooLong(PageError):
    """The address is longer than that of any page, or has more parameters."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG
    slug = "address-too-long"
    title = "No page has such a long address"


class TooManySignIns(PageError):
    """Too many sign-ins from one address have failed."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    slug = "too-many-sign-ins"
    title = "Too many sign-ins have failed"


class RouteeError(ApiError):
    """Routee did not do what it was asked."""

    status = HTTPStatus.BAD_GATEWAY
    slug = "routee-error"
    title = "Routee did not do what it was asked"


class RouteeRefused(RouteeError):
    """
    Routee answered with a definite refusal: nothing was done.

    `meaning` is a stable slug of `app.routee.refusals.Meaning`, and the detail says how to react.
    Routee's own words may quote telephone numbers. They are in `developer_message`, `properties`
    and the faults, and never in the text of the exception.
    """

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "routee-refused"
    title = "Routee refused the request"

    def __init__(  # noqa: PLR0913 (every part of Routee's error body)
        self,
        detail: str | None = None,
        *,
        http_status: int,
        meaning: str = "refused",
        code: str | None = None,
        error_code: str | None = None,
        developer_message: str | None = None,
        properties: Mapping[str, str] | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        super().__init__(detail, faults=faults)
        self.http_status = http_status
        self.meaning = meaning
        self.code = code
        self.error_code = error_code
        self.developer_message = developer_message
        self.properties = dict(properties or {})


class RouteeUnavailable(RouteeError):
    """
    Routee could not be reached, or its answer does not say whether it did what it was asked.

    `may_have_been_accepted` is False only if it is certain that nothing was done. While it is
    True, a campaign must not simply be launched again. `temporary`: trying later may help.
    """

    slug = "routee-unavailable"
    title = "Routee could not be reached"

    def __init__(
        self,
        detail: str | None = None,
        *,
        http_status: int | None = None,
        may_have_been_accepted: bool = True,
        temporary: bool = True,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.http_status = http_status
        self.may_have_been_accepted = may_have_been_accepted
        self.temporary = temporary


class RouteeTokenUnavailable(RouteeUnavailable):
    """Routee gave no access token, so the call itself was not made."""

    slug = "routee-token-unavailable"
    title = "Routee gave no access token"
