"""The answers that each call can give besides its success."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from app import errors
from app.api.document.operations import operations_in
from app.api.problems import MEDIA_TYPE, problem
from app.domain.api_key import Scope
from app.errors import ApiError, Fault

SECURITY_SCHEME: Final = "apiKey"


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to fail: its problem, its meaning, and an example of the detail."""

    status: HTTPStatus
    slug: str
    title: str
    meaning: str
    detail: str | None = None
    faults: tuple[Fault, ...] = ()
    members: dict[str, Any] = field(default_factory=dict)
    retry_after: bool = False
    location: bool = False

    @property
    def example(self) -> dict[str, Any]:
        """The body, made as the body of an answer is made."""
        answer = problem(
            self.status,
            slug=self.slug,
            title=self.title,
            detail=self.detail,
            faults=self.faults,
            **self.members,
        )
        body: dict[str, Any] = json.loads(bytes(answer.body))
        return body


def _failure(error: type[ApiError], detail: str | None = None, **more: Any) -> Failure:  # noqa: ANN401
    first_line = next(filter(None, (error.__doc__ or "").splitlines())).strip()
    return Failure(error.status, error.slug, error.title, first_line, detail, **more)


def _invalid(*fault: str) -> Failure:
    return _failure(errors.InvalidRequest, faults=(Fault(*fault),))


_CAMPAIGN: Final = "01982f6e-5b1c-7c3a-9d35-0c9f6b1e2a47"

UNAUTHORIZED: Final = _failure(
    errors.Unauthorized, "Send the header `Authorization: Bearer <api key>`."
)
FORBIDDEN: Final = {
    scope: _failure(errors.Forbidden, f"This call needs a key of scope `{scope}`.")
    for scope in Scope
}
GUESSING: Final = _failure(
    errors.Overloaded, "Too many API keys are being tried.", retry_after=True
)
NOT_FOUND: Final = _failure(errors.NotFound, "No callback has named the message 'dcfa62e1' yet.")
INVALID_CURSOR: Final = _failure(
    errors.InvalidCursor, "Send `nextCursor` of the page before unchanged, with the same filters."
)
INVALID_POSITION: Final = _failure(
    errors.InvalidCursor,
    "`after` is `nextCursor` of the page before, unchanged, or `beginning`, or `now`, or a time "
    "with its offset, such as 2026-01-31T12:00:00Z.",
)
CURSOR_EXPIRED: Final = _failure(
    errors.CursorExpired, "Go on with `after=<receivedAt of the last item that you processed>`."
)
INVALID: Final = _invalid("limit", "Input should be less than or equal to 1000")
UNKNOWN_PARAMETER: Final = _invalid(
    "campaignTrackingID",
    "unknown parameter campaignTrackingID: did you mean campaignTrackingId?",
)
NO_CAMPAIGN: Final = _failure(errors.NotFound, "There is no campaign 'dcfa62e1'.")
NOT_INSTALLED: Final = _invalid(
    "format", "Parquet needs pyarrow: pip install 'routee-receiver[parquet]'"
)
TOO_MANY_EXPORTS: Final = _failure(
    errors.TooManyExports, "2 exports are under way.", retry_after=True
)
INVALID_CAMPAIGN: Final = _invalid(
    "to[0]", "must be a telephone number in E.164", "400019002", "001"
)
NAME_IN_USE: Final = _failure(
    errors.CampaignNameInUse, "A campaign named 'Spring sale' exists already. Choose another name."
)
NOT_UNCONFIRMED: Final = _failure(
    errors.CampaignNotUnconfirmed, "It is launched; there is nothing to resolve."
)
NOT_CANCELLABLE: Final = _failure(
    errors.CampaignNotCancellable,
    "It is rejected and has no trackingId by which Routee could delete it.",
)
IN_PROGRESS: Final = _failure(
    errors.LaunchInProgress,
    f"Do not launch it again: /v1/campaigns/{_CAMPAIGN} will show what has become of it.",
    retry_after=True,
    location=True,
)
ASKED_AGAIN: Final = _failure(
    errors.LaunchInProgress,
    "Routee is being asked for it again at this moment. Wait for the answer.",
    retry_after=True,
)
LAUNCH_REJECTED: Final = _failure(
    errors.LaunchRejected, "The balance of the Routee account is too low."
)
KEY_REUSED: Final = _failure(errors.IdempotencyKeyReused)
NO_NUMBER: Final = _invalid("number", "must be a telephone number of 6 to 15 digits")
NO_NUMBERS: Final = _invalid("numbers[0]", "must be a telephone number of 6 to 15 digits")
ERASURE_NOT_CONFIGURED: Final = _failure(
    errors.ErasureNotConfigured,
    "Set RECEIVER_ERASURE_KEYS, or RECEIVER_SIGNING_KEYS, for all processes.",
)
NO_BODY: Final = _failure(errors.NotFound, "There is no quarantined body '17'.")
KEYS_LACKING: Final = _failure(
    errors.ErasureNotConfigured,
    "Recipients were erased with keys that are missing from RECEIVER_ERASURE_KEYS (or "
    "RECEIVER_SIGNING_KEYS), so a replay would not recognise them. Put the keys back.",
)
NEVER_COMPARED: Final = _failure(
    errors.NotFound, "The campaign 'dcfa62e1' was never compared with Routee's tracking."
)
NOT_ACCEPTED: Final = _failure(
    errors.CampaignNotLaunched, "It is rejected: Routee has no messages of it."
)
RECONCILING_NOT_CONFIGURED: Final = _failure(
    errors.ReconcilingNotConfigured,
    "Not set: RECEIVER_ROUTEE_APPLICATION_ID, RECEIVER_ROUTEE_APPLICATION_SECRET.",
)
NOT_CONFIGURED: Final = _failure(
    errors.LaunchingNotConfigured, "Not set: RECEIVER_PUBLIC_URL, RECEIVER_SIGNING_KEYS."
)
REFUSED: Final = _failure(
    errors.RouteeRefused,
    "The balance of the Routee account is too low.",
    members={"code": "400001009", "developerMessage": "The balance is too low"},
)
NOT_CANCELLED: Final = _failure(
    errors.RouteeRefused,
    "The campaign is no longer scheduled.",
    members={"code": "400009002", "developerMessage": "The campaign is no longer scheduled"},
)
NO_ANSWER: Final = _failure(
    errors.RouteeUnavailable, "No connection to Routee to launch the campaign.", retry_after=True
)
NO_TOKEN: Final = _failure(
    errors.RouteeTokenUnavailable,
    "Routee refused the application's credentials (HTTP 401).",
    retry_after=True,
)
DATABASE: Final = Failure(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "database-unavailable",
    "The database does not answer",
    "The database cannot answer at the moment.",
    "Nothing was lost. Please try again.",
    retry_after=True,
)
SCHEMA: Final = Failure(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "schema-outdated",
    "The database has another schema version",
    "The database has another schema version than this program needs.",
    "The schema is at version 0002, and 0003 is needed. Run `routee-receiver migrate`.",
)
CANNOT_STORE: Final = _failure(errors.CannotStore, "The database is read-only.")
TOO_LARGE: Final = Failure(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too-large",
    "The body is larger than allowed",
    "The body is larger than allowed.",
)
BODY_TOO_LARGE: Final = _failure(errors.BodyTooLarge, "A body may have at most 1048576 bytes.")
BODY_TOO_SLOW: Final = _failure(errors.BodyTooSlow, "The whole body must arrive within 10 seconds.")
BODY_ENCODED: Final = _failure(errors.BodyEncoded, "Send the body without a `Content-Encoding`.")
TOO_SLOW: Final = Failure(
    HTTPStatus.REQUEST_TIMEOUT,
    "too-slow",
    "The body did not arrive in time",
    "The body did not arrive within the time that a callback may take.",
)
NOT_STORED: Final = Failure(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not-stored",
    "The callback could not be stored in time; please repeat it",
    "It could not be made durable in time. Routee repeats it.",
    retry_after=True,
)
UNKNOWN_TOKEN: Final = Failure(
    HTTPStatus.NOT_FOUND, "not-found", "Not found", "The token is unknown."
)

FORBIDDEN_SOURCE: Final = Failure(
    HTTPStatus.FORBIDDEN,
    "forbidden-source",
    "Callbacks are not taken from this address",
    "RECEIVER_CALLBACK_SOURCES does not have the address that the request comes from.",
)


@dataclass(frozen=True, slots=True)
class Call:
    """The scope that a call needs, and how the call can fail."""

    #: None: no API key is needed.
    scope: Scope | None
    failures: tuple[Failure, ...] = ()


_LIST: Final = (INVALID_CURSOR, INVALID)
_EXPORT: Final = (NOT_INSTALLED, TOO_MANY_EXPORTS)
_BODY: Final = (BODY_TOO_SLOW, BODY_TOO_LARGE, BODY_ENCODED)
_POSTED: Final = (TOO_SLOW, TOO_LARGE, NOT_STORED)
_ROUTEE_SILENT: Final = (NO_ANSWER, NO_TOKEN)

#: Every operation by its id. Failures of the API key and of the database are added to each that
#: needs a key.
CALLS: Final[dict[str, Call]] = {
    "postStatusCallback": Call(None, (FORBIDDEN_SOURCE, UNKNOWN_TOKEN, *_POSTED)),
    "probeStatusCallback": Call(None, (FORBIDDEN_SOURCE, UNKNOWN_TOKEN)),
    "headStatusCallback": Call(None, (FORBIDDEN_SOURCE, UNKNOWN_TOKEN)),
    "postInboundCallback": Call(None, (FORBIDDEN_SOURCE, UNKNOWN_TOKEN, *_POSTED)),
    "probeInboundCallback": Call(None, (FORBIDDEN_SOURCE, UNKNOWN_TOKEN)),
    "headInboundCallback": Call(None, (FORBIDDEN_SOURCE, UNKNOWN_TOKEN)),
    "getLivez": Call(None),
    "getReadyz": Call(None, (DATABASE, SCHEMA, CANNOT_STORE)),
    "getMetrics": Call(None),
    "getStatus": Call(Scope.READ, (NOT_FOUND,)),
    "listMessages": Call(Scope.READ, _LIST),
    "lookUpMessages": Call(Scope.READ, (*_BODY, INVALID)),
    "getMessage": Call(Scope.READ, (NOT_FOUND,)),
    "getHistory": Call(Scope.READ, (NOT_FOUND, *_LIST)),
    "launchCampaign": Call(
        Scope.CAMPAIGNS,
        (
            NAME_IN_USE,
            IN_PROGRESS,
            *_BODY,
            INVALID_CAMPAIGN,
            REFUSED,
            LAUNCH_REJECTED,
            KEY_REUSED,
            *_ROUTEE_SILENT,
            NOT_CONFIGURED,
        ),
    ),
    "listCampaigns": Call(Scope.READ, _LIST),
    "getCampaign": Call(Scope.READ, (NOT_FOUND,)),
    "cancelCampaign": Call(
        Scope.CAMPAIGNS, (NOT_FOUND, NOT_CANCELLABLE, NOT_CANCELLED, *_ROUTEE_SILENT)
    ),
    "resolveCampaign": Call(
        Scope.ADMIN, (*_BODY, NOT_FOUND, NOT_UNCONFIRMED, ASKED_AGAIN, INVALID)
    ),
    "reconcileCampaign": Call(Scope.ADMIN, (NO_CAMPAIGN, NOT_ACCEPTED, RECONCILING_NOT_CONFIGURED)),
    "getReconciliation": Call(Scope.READ, (NEVER_COMPARED,)),
    "listCampaignMessages": Call(Scope.READ, (NOT_FOUND, *_LIST)),
    "listCampaignProgress": Call(Scope.READ, (NOT_FOUND, *_LIST)),
    "listInboundMessages": Call(Scope.READ, _LIST),
    "getInboundMessage": Call(Scope.READ, (NOT_FOUND,)),
    "eraseRecipient": Call(Scope.ADMIN, (NOT_FOUND, NO_NUMBER, ERASURE_NOT_CONFIGURED)),
    "getRecipientKeys": Call(Scope.READ, (*_BODY, NO_NUMBERS, ERASURE_NOT_CONFIGURED)),
    "listQuarantine": Call(Scope.ADMIN, _LIST),
    "replayQuarantine": Call(Scope.ADMIN, (*_LIST, KEYS_LACKING)),
    "getQuarantined": Call(Scope.ADMIN, (NO_BODY,)),
    "replayQuarantined": Call(Scope.ADMIN, (NO_BODY, KEYS_LACKING)),
    "dropQuarantinedBody": Call(Scope.ADMIN, (NO_BODY,)),
    "getErasure": Call(Scope.ADMIN, (NOT_FOUND,)),
    "listEvents": Call(Scope.READ, (NO_CAMPAIGN, INVALID_POSITION, CURSOR_EXPIRED, INVALID)),
    "exportMessages": Call(Scope.ADMIN, _EXPORT),
    "exportEvents": Call(Scope.ADMIN, _EXPORT),
    "exportInboundMessages": Call(Scope.ADMIN, _EXPORT),
    "exportCampaigns": Call(Scope.ADMIN, _EXPORT),
}

_WITH_KEY: Final = (UNAUTHORIZED, DATABASE, GUESSING)

_HEADERS: Final[dict[str, Any]] = {
    "RetryAfter": {
        "description": "After how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 2,
    },
    "WwwAuthenticate": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
    "Location": {
        "description": "Where the campaign is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "example": f"/v1/campaigns/{_CAMPAIGN}",
    },
    "WhereToLook": {
        "description": "Where the campaign is whose launch is under way.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": f"/v1/campaigns/{_CAMPAIGN}",
    },
    "IdempotencyReplayed": {
        "description": "Present if the `Idempotency-Key` was used before: nothing was done now.",
        "schema": {"type": "string", "const": "true"},
    },
    "ETag": {
        "description": "The tag of this answer, for `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^W/"[0-9a-f]+"$'},
        "example": 'W/"5d41402abc4b2a76b9719d911017c592"',
    },
}
_LAUNCHED_HEADERS: Final = {
    "Location": {"$ref": "#/components/headers/Location"},
    "Idempotency-Replayed": {"$ref": "#/components/headers/IdempotencyReplayed"},
}
_ERASURE_LOCATION: Final = {
    "description": "Where the progress of the erasure is.",
    "required": True,
    "schema": {"type": "string", "format": "uri-reference"},
    "example": "/v1/erasures/019a31f0-6c1e-7d3a-8f11-2b7c9d0e4a55",
}
_RECONCILIATION_LOCATION: Final = {
    "description": "Where the outcome of the comparison is.",
    "required": True,
    "schema": {"type": "string", "format": "uri-reference"},
    "example": f"/v1/campaigns/{_CAMPAIGN}/reconciliation",
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "`ETag` of an answer that the caller has: 304 if it has not changed.",
    "schema": {"type": "string"},
}


_LAST_EVENT_ID: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "For a stream: the last `id` that came. It wins over `after`.",
    "schema": {"type": "string"},
}


def add_answers(document: dict[str, Any]) -> None:
    """Complete every operation of *document* with its failures, headers and scope."""
    components = document["components"]
    components["headers"] = _HEADERS
    (scheme,) = components["securitySchemes"].values()
    components["securitySchemes"] = {SECURITY_SCHEME: {"bearerFormat": "rr_…", **scheme}}
    for _, _, node in operations_in(document):
        call = CALLS[node["operationId"]]
        answers = {
            status: answer for status, answer in node["responses"].items() if status[0] in "23"
        }
        answers |= _failures((*call.failures, *_with_key(call)))
        node["responses"] = dict(sorted(answers.items()))
        node["security"] = [] if call.scope is None else [{SECURITY_SCHEME: [call.scope.value]}]
        _add_success_headers(node)


def _with_key(call: Call) -> tuple[Failure, ...]:
    """How each call with a key can fail besides its own ways; 422 is documented once."""
    if call.scope is None:
        return ()
    is_documented = any(failure.slug == UNKNOWN_PARAMETER.slug for failure in call.failures)
    ways = (FORBIDDEN[call.scope], *_WITH_KEY)
    return ways if is_documented else (*ways, UNKNOWN_PARAMETER)


def _failures(failures: Iterable[Failure]) -> dict[str, Any]:
    by_status: dict[HTTPStatus, list[Failure]] = {}
    for failure in failures:
        by_status.setdefault(failure.status, []).append(failure)
    return {str(int(status)): _answer(status, ways) for status, ways in by_status.items()}


def _answer(status: HTTPStatus, ways: list[Failure]) -> dict[str, Any]:
    headers = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WwwAuthenticate"}
    if any(way.retry_after for way in ways):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    if any(way.location for way in ways):
        headers["Location"] = {"$ref": "#/components/headers/WhereToLook"}
    return {
        "description": "\n".join(
            way.meaning if len(ways) == 1 else f"- `{way.slug}`: {way.meaning}" for way in ways
        ),
        **({"headers": headers} if headers else {}),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    way.slug: {"summary": way.title, "value": way.example} for way in ways
                },
            }
        },
    }


def _add_success_headers(node: dict[str, Any]) -> None:
    answers = node["responses"]
    if "304" in answers:
        for status in ("200", "304"):
            answers[status]["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
        node["parameters"].append(_IF_NONE_MATCH)
    if node["operationId"] == "launchCampaign":
        for status in ("201", "202"):
            answers[status]["headers"] = _LAUNCHED_HEADERS
    if node["operationId"] == "listEvents":
        node["parameters"].append(_LAST_EVENT_ID)
    if node["operationId"] == "reconcileCampaign":
        answers["202"]["headers"] = {"Location": _RECONCILIATION_LOCATION}
    if node["operationId"] == "eraseRecipient":
        answers["202"]["headers"] = {"Location": _ERASURE_LOCATION}
