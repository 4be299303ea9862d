"""The dependencies of routes: the parts of the service, the caller's key, and parameters."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import count
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ValidationError
from starlette.datastructures import Headers
from starlette.types import Receive

from app.api.parameters import refuse_unknown_parameters, unknown
from app.api.wire import joined
from app.buffer.connection import Buffer
from app.db.database import Database
from app.domain.api_key import ApiKey, Scope
from app.domain.callback_token import CallbackTokens
from app.domain.masking import SecretMask
from app.domain.tracking_id import canonical_id
from app.errors import Fault, Forbidden, InvalidCursor, InvalidRequest, NotFound, Unauthorized
from app.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from app.kit.instants import parse_instant
from app.kit.slices import Slices
from app.observability.metrics import Metrics
from app.routee import reading
from app.routee.client import RouteeClient
from app.routee.wire import Unreadable, parse
from app.services.callbacks.sources import CallbackSources
from app.services.current import CurrentMessages
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.erasure.erasures import Eraser
from app.services.exports.exports import Exports
from app.services.feed.pages import Feed
from app.services.keyring import Keyring
from app.services.launching.launches import Launches
from app.services.quarantine import Replays
from app.services.readiness import Readiness
from app.services.reconcile.reconciler import Reconciler

K = TypeVar("K")
M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")
T = TypeVar("T")

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100
#: No id is longer, see `routee.reading`.
_MAX_ID_BYTES: Final = 512
_MAX_ROW_ID: Final = 2**63 - 1
#: More unknown members of one body are no typing errors.
_MAX_SUGGESTIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that routes need, built once by `main`."""

    #: The primary: keys, launches, and all that must be read as just written.
    database: Database
    #: Lists, messages and replies; perhaps a replica, which may be a little behind.
    reads: Database
    #: The dashboard's own.
    pages: Database
    #: Single messages, from `reads`.
    current: CurrentMessages
    feed: Feed
    exports: Exports
    keyring: Keyring
    launching: Launches
    routee: RouteeClient
    tokens: CallbackTokens
    #: Of our secrets.
    mask: SecretMask
    metrics: Metrics
    erased: ErasedRecipients
    erasing: Eraser
    #: Of the quarantine.
    replays: Replays
    reconciling: Reconciler
    #: Of the reconciler alone: it repeats nothing itself.
    tracking: RouteeClient
    readiness: Readiness
    #: What callbacks are acknowledged by; None if they are stored directly, or not received.
    buffer: Buffer | None
    #: From where callbacks are taken; None: from everywhere, or none are.
    sources: CallbackSources | None
    #: For the work of all reads together.
    slices: Slices


@dataclass(frozen=True, slots=True)
class OperationsParts:
    """The members of `Parts` that probes and metrics need, for a process that has no others."""

    metrics: Metrics
    readiness: Readiness
    mask: SecretMask


async def parts_of(request: Request) -> Parts:
    """The parts of the application that serves *request*."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]

_bearer = HTTPBearer(auto_error=False, description="An API key: `routee-receiver api-key create`.")


async def verified_caller(request: Request, scope: Scope) -> ApiKey:
    """
    The API key of *request*, which has to allow *scope* and may have only parameters of its route.

    Every call needs a key, so this is where all their parameters are checked, fast reads included.

    Raises:
        Unauthorized: the request has no valid API key.
        Forbidden: the key does not have the scope.
        Overloaded: too many unknown keys are being tried.
        InvalidRequest: a parameter is unknown, or has more values than it takes.
    """
    caller = await verified_key(request.headers, (await parts_of(request)).keyring)
    if not caller.allows(scope):
        raise Forbidden(f"This call needs a key of scope `{scope}`.")
    refuse_unknown_parameters(request)
    return caller


async def verified_key(headers: Headers, keyring: Keyring) -> ApiKey:
    """
    The API key in *headers*.

    Raises:
        Unauthorized: there is no valid one.
        Overloaded: too many unknown keys are being tried.
    """
    scheme, key = get_authorization_scheme_param(headers.get("authorization"))
    if scheme.lower() != "bearer" or not key:
        raise Unauthorized("Send the header `Authorization: Bearer <api key>`.")
    return await keyring.verified(key)


def caller_with(scope: Scope) -> Callable[..., Coroutine[Any, Any, ApiKey]]:
    """A dependency that gives the caller's key and requires *scope*."""

    async def _allowed(
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],  # for the document
    ) -> ApiKey:
        return await verified_caller(request, scope)

    return _allowed


Reader = Annotated[ApiKey, Depends(caller_with(Scope.READ))]
Admin = Annotated[ApiKey, Depends(caller_with(Scope.ADMIN))]
Launcher = Annotated[ApiKey, Depends(caller_with(Scope.CAMPAIGNS))]


async def _opaque_id(
    tracking_id: Annotated[str, Path(description="An opaque id, percent-encoded.")],
) -> str:
    return decoded_id(tracking_id)


def decoded_id(encoded: str) -> str:
    """
    The id in one segment of an undecoded path.

    Raises:
        NotFound: the text cannot be an id.
    """
    octets = unquote_to_bytes(encoded)
    if len(octets) > _MAX_ID_BYTES or b"\0" in octets:
        raise NotFound
    try:
        return canonical_id(octets.decode())
    except UnicodeDecodeError:
        raise NotFound from None


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not have NUL")
    return text


def _as_number(text: str) -> str:
    return reading.as_number(text) or text


def _as_instant(text: str) -> datetime:
    instant = parse_instant(text)
    if instant is None:
        raise ValueError("must be a time in ISO 8601")
    return instant


#: PostgreSQL stores no NUL.
SafeText = Annotated[str, AfterValidator(_without_nul)]
#: An id of Routee's, or of ours, in a query.
GivenId = Annotated[SafeText, AfterValidator(canonical_id)]
#: A telephone number in any spelling. An unencoded query turns its `+` into a blank.
Number = Annotated[SafeText, AfterValidator(_as_number)]
#: A time with its offset, whose `+` an unencoded query turns into a blank. Pydantic would read a
#: bare number as seconds since 1970.
Moment = Annotated[AwareDatetime, BeforeValidator(_as_instant)]
TrackingId = Annotated[str, Depends(_opaque_id)]


def each_once(values: Iterable[T] | None) -> tuple[T, ...]:
    """The values of a parameter that takes many, in one order, whatever the caller's."""
    return tuple(sorted(set(values or ())))  # type: ignore[type-var]


async def json_body(request: Request) -> object:
    """
    The body of *request*. FastAPI would parse it before it verifies the key, into binary floats.

    Raises:
        InvalidRequest: it is not JSON.
    """
    try:
        return parse(await request.body())
    except Unreadable:
        raise InvalidRequest(faults=(Fault("body", "must be JSON in UTF-8"),)) from None


def json_request(schema: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """What the OpenAPI document says about a request whose body is parsed by `json_body`."""
    body = {"required": True, **more, "content": {"application/json": {"schema": schema}}}
    return {"requestBody": body}


def validated(model: type[M], body: object) -> M:
    """
    *body* as a *model*.

    Raises:
        RequestValidationError: it is not one.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RequestValidationError(list(_faults(model, error))) from None


def _faults(model: type[BaseModel], error: ValidationError) -> Iterator[dict[str, Any]]:
    known = [member.alias or name for name, member in model.model_fields.items()]
    suggestions = count()
    for fault in error.errors():
        message = fault["msg"]
        if fault["type"] == "extra_forbidden" and next(suggestions) < _MAX_SUGGESTIONS:
            message = unknown("member", str(fault["loc"][-1]), known)
        yield {**fault, "loc": ("body", *fault["loc"]), "msg": message}


async def unless_gone(receive: Receive, doing: Coroutine[Any, Any, T]) -> T | None:
    """The result of *doing*; None if the client hangs up first, which cancels *doing*."""
    work, gone = asyncio.create_task(doing), asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    """Return once the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def json_answer(
    body: bytes, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with *body*, encoded JSON."""
    return Response(body, status, headers, media_type="application/json")


async def list_answer(
    parts: Parts,
    rows: Iterable[R],
    as_json: Callable[[R], bytes],
    *,
    cursor: str | None,
    **members: object,
) -> Response:
    """A page of a list: *rows*, each as *as_json* writes it, `nextCursor` and further *members*."""
    items = await parts.slices.mapped(as_json, rows)
    return json_answer(joined(items, nextCursor=cursor, **members))


def row_id(value: str | int) -> int:
    """
    *value* as the id of a row.

    Raises:
        ValueError: it cannot be one.
    """
    number = int(value)
    if not 0 <= number <= _MAX_ROW_ID:
        raise ValueError
    return number


def text_id(value: object) -> str:
    """
    *value* of a cursor as an opaque id.

    Raises:
        ValueError: no id can be that.
    """
    if not isinstance(value, str) or "\0" in value or len(value.encode()) > _MAX_ID_BYTES:
        raise ValueError
    return value


def row_time(value: object) -> datetime:
    """
    *value* of a cursor as the time of a row, in UTC.

    Raises:
        ValueError: it is not a time with an offset.
    """
    instant = _as_instant(value) if isinstance(value, str) else None
    if instant is None or instant.tzinfo is None:
        raise ValueError
    return instant


@dataclass(frozen=True, slots=True)
class Paging:
    """The parameters of a list in pages; `scope` is the list with its filters."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def position(self, *, scope: str, of: Callable[..., K]) -> K | None:
        """
        The position in the cursor, made by *of* from its parts; None for the first page.

        Raises:
            InvalidCursor: it is not a cursor of the list *scope*.
        """
        if self.cursor is None:
            return None
        try:
            return of(*decode_cursor(self.cursor, scope=scope))
        except (CursorInvalid, ValueError, TypeError):
            raise InvalidCursor(
                "Send `nextCursor` of the page before unchanged, with the same filters."
            ) from None

    def cut(
        self, rows: Sequence[R], *, position: Callable[[R], list[str | int]], scope: str
    ) -> tuple[Sequence[R], str | None]:
        """The first `limit` of *rows*, and the cursor of the next page if there are more."""
        if len(rows) <= self.limit:
            return rows, None
        return rows[: self.limit], encode_cursor(position(rows[self.limit - 1]), scope=scope)


def cursor_after(end: str | int | None, *, scope: str) -> str | None:
    """The cursor of the page after the row *end* of the list *scope*; None after the last page."""
    return None if end is None else encode_cursor([end], scope=scope)


async def _paging(
    limit: Annotated[
        int, Query(ge=1, le=MAX_LIMIT, description="How many items at most.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(description="`nextCursor` of the page before.", max_length=4096)
    ] = None,
) -> Paging:
    return Paging(limit, cursor)  # a coroutine, as FastAPI calls all else in a thread


PagingDep = Annotated[Paging, Depends(_paging)]
