"""The dependencies of routes: the parts of the service, the caller's key, and parameters."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Depends, HTTPException, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from starlette.types import Receive

from app.api.wire import Page
from app.db.database import Database
from app.domain.api_key import ApiKey, Scope
from app.domain.callback_token import CallbackTokens
from app.domain.masking import SecretMask
from app.errors import Fault, Forbidden, InvalidCursor, InvalidRequest, NotFound, Unauthorized
from app.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from app.observability.metrics import Metrics
from app.routee import reading
from app.routee.client import RouteeClient
from app.routee.wire import Unreadable, parse
from app.services.current import CurrentMessages
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.erasure.erasures import Eraser
from app.services.exports.exports import Exports
from app.services.feed.pages import Feed
from app.services.keyring import Keyring
from app.services.launching.launches import Launches

K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100
#: No id is longer, see `routee.reading`.
_MAX_ID_BYTES: Final = 512
#: Enough for a thousand recipients and the longest text, or for a thousand ids.
_MAX_BODY_BYTES: Final = 1_048_576
_MAX_ROW_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that routes need, built once by `main`."""

    #: The primary: keys, launches, and all that must be read as just written.
    database: Database
    #: Lists, messages and replies; perhaps a replica, which may be a little behind.
    reads: Database
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


async def parts_of(request: Request) -> Parts:
    """The parts of the application that serves *request*."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]

_bearer = HTTPBearer(auto_error=False, description="An API key: `routee-receiver api-key create`.")


async def verified_caller(request: Request, scope: Scope) -> ApiKey:
    """
    The API key of *request*, which has to allow *scope*.

    Raises:
        Unauthorized: the request has no valid API key.
        Forbidden: the key does not have the scope.
        Overloaded: too many unknown keys are being tried.
    """
    scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() != "bearer" or not key:
        raise Unauthorized("Send the header `Authorization: Bearer <api key>`.")
    parts = await parts_of(request)
    caller = await parts.keyring.verified(key)
    if not caller.allows(scope):
        raise Forbidden(f"This call needs a key of scope `{scope}`.")
    return caller


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
        return octets.decode()
    except UnicodeDecodeError:
        raise NotFound from None


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not have NUL")
    return text


def _as_number(text: str) -> str:
    return reading.as_number(text) or text


def _as_instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        return instant if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601") from None


#: PostgreSQL stores no NUL.
SafeText = Annotated[str, AfterValidator(_without_nul)]
#: A telephone number in any spelling. An unencoded query turns its `+` into a blank.
Number = Annotated[SafeText, AfterValidator(_as_number)]
#: ISO 8601 only: pydantic would read a bare number as seconds since 1970.
Moment = Annotated[AwareDatetime, BeforeValidator(_as_instant)]
TrackingId = Annotated[str, Depends(_opaque_id)]


async def json_body(request: Request) -> object:
    """
    The body of *request*. FastAPI would read it before the key, and make binary floats.

    Raises:
        InvalidRequest: it is not JSON.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return parse(bytes(body))
    except Unreadable:
        raise InvalidRequest(faults=(Fault("body", "must be JSON in UTF-8"),)) from None


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


def json_answer(body: bytes) -> Response:
    """The answer 200 with *body*, encoded JSON."""
    return Response(body, media_type="application/json")


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

    def page_of(
        self,
        rows: Sequence[R],
        *,
        shown: Callable[[R], T],
        position: Callable[[R], list[str | int]],
        scope: str,
    ) -> Page[T]:
        """The first `limit` of *rows* as *shown*; a further row says that another page follows."""
        items = [shown(row) for row in rows[: self.limit]]
        end = position(rows[self.limit - 1]) if len(rows) > self.limit else None
        cursor = None if end is None else encode_cursor(end, scope=scope)
        return Page(items=items, next_cursor=cursor)


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
