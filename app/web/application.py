"""The application of the dashboard: routes, sign-in, errors as pages, and headers of safety."""

import asyncio
import time
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import AddressTooLong, ApiError, DatabaseUnavailable, ReceiverError, Unauthorized
from app.web.failing import error_page
from app.web.pages import (
    campaigns,
    messages,
    overview,
    quarantine,
    replies,
    search,
    shortcuts,
    signing_in,
    statuses,
)
from app.web.parts import PageParts
from app.web.proxies import Origin
from app.web.routes import PageRoute, Routes
from app.web.signed_in import find_person
from app.web.static_files import PREFIX as STATIC
from app.web.visit import Visit

log = structlog.get_logger()

PREFIX: Final = "/ui"
#: What a browser may do with a page: nothing but what comes from here.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: Where the link to a page may have been, by `Sec-Fetch-Site`, so that a session does not show.
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
#: A person waits no longer for a page, nor for the name beside an error.
_PAGE_SECONDS: Final = 5.0
_PERSON_SECONDS: Final = 1.0
#: Of an address: longer ones, or with more parameters, no page has.
_MAX_ADDRESS_BYTES: Final = 32_768
_MAX_PARAMETERS: Final = 100
_ROUTES: Final[tuple[PageRoute, ...]] = (
    *signing_in.ROUTES,
    *shortcuts.ROUTES,
    *overview.ROUTES,
    *campaigns.ROUTES,
    *messages.ROUTES,
    *replies.ROUTES,
    *statuses.ROUTES,
    *search.ROUTES,
    *quarantine.ROUTES,
)


class Dashboard:
    """Serves the pages below `/ui/`; their paths must not be decoded yet."""

    def __init__(self, parts: PageParts) -> None:
        self._parts = parts
        self._routes = Routes(_ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        began = time.perf_counter()
        request = Request(scope, receive, send)
        answer = await self._answer(request)
        headers = MutableHeaders(raw=answer.raw_headers)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        milliseconds = 1000 * (time.perf_counter() - began)
        headers["Server-Timing"] = f"page;dur={milliseconds:.1f}"
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        origin = self._parts.proxies.origin_of(request.scope)
        visit = Visit(request, self._parts, origin, None)
        try:
            return await self._page_in_time(request, origin)
        except Unauthorized:
            return _sign_in_first(visit)
        except (ApiError, DatabaseUnavailable, ReceiverError) as error:
            return await error_page(await self._with_person(visit), error)
        except Exception as error:
            log.exception("unexpected error")
            return await error_page(visit, error)

    async def _page_in_time(self, request: Request, origin: Origin) -> Response:
        """The page; one that is only looked at is given up when it takes too long."""
        if request.method != "GET":
            return await self._page(request, origin)
        # Beside this, as a database that does not answer does not end a statement that is given up.
        page = asyncio.create_task(self._page(request, origin))
        page.add_done_callback(_mark_as_handled)
        try:
            await asyncio.wait({page}, timeout=_PAGE_SECONDS)
            if not page.done():
                raise DatabaseUnavailable(f"It did not answer within {_PAGE_SECONDS:.0f} s.")
            return page.result()
        finally:
            page.cancel()

    async def _page(self, request: Request, origin: Origin) -> Response:
        _require_short_address(request)
        path = request.scope["path"]
        if path in {"/", PREFIX}:
            return RedirectResponse(f"{origin.prefix}{PREFIX}/", HTTPStatus.FOUND)
        if path.startswith(f"{STATIC}/"):
            return self._parts.files.answer(path.removeprefix(f"{STATIC}/"))
        match = self._routes.match(path)
        person = None
        if match is None or match.needs_person:
            # Before anything is said of what there is.
            person = await find_person(request, self._parts, origin)
            if person is None:
                raise Unauthorized
        handler, values = self._routes.require(match, request.method)
        visit = Visit(request, self._parts, origin, person, values)
        if handler.scope is not None:
            visit.require(handler.scope)
        return await handler.show(visit)

    async def _with_person(self, visit: Visit) -> Visit:
        """*visit* with its person, as far as that can be found out now."""
        try:
            async with asyncio.timeout(_PERSON_SECONDS):
                person = await find_person(visit.request, self._parts, visit.origin)
        except (ReceiverError, TimeoutError):
            return visit
        return Visit(visit.request, visit.parts, visit.origin, person)


class WithDashboard:
    """Leads requests for pages to *dashboard*, and all others to *app*."""

    def __init__(self, app: ASGIApp, dashboard: ASGIApp) -> None:
        self._app = app
        self._dashboard = dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        is_page = scope["type"] == "http" and _is_page(scope)
        await (self._dashboard if is_page else self._app)(scope, receive, send)


def _is_page(scope: Scope) -> bool:
    path: str = scope["path"]
    if path == PREFIX or path.startswith(f"{PREFIX}/"):
        return True
    # Of browsers only: what asks for the root otherwise gets the answer of the API.
    return path == "/" and any(
        name == b"accept" and b"text/html" in value for name, value in scope["headers"]
    )


def _mark_as_handled(page: asyncio.Task[Response]) -> None:
    """What becomes of a page that was given up is of no interest."""
    if not page.cancelled():
        page.exception()


def _require_short_address(request: Request) -> None:
    """
    Refuse what would take long to read, before anything is done with it.

    Raises:
        AddressTooLong: no page has an address like that.
    """
    path, query = request.scope["path"], request.scope["query_string"]
    is_long = len(path) + len(query) > _MAX_ADDRESS_BYTES
    if is_long or query.count(b"&") >= _MAX_PARAMETERS:
        raise AddressTooLong("Begin at one of the pages that the links above lead to.")


def _sign_in_first(visit: Visit) -> Response:
    if visit.is_fragment:
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    if visit.request.method == "GET" and visit.request.headers.get("sec-fetch-site") in _FOREIGN:
        # By a link of another site. Browsers send the cookie only to what a page of ours leads to.
        return visit.page("arriving.html", title="")
    if visit.request.method != "GET" or visit.here() == visit.url(f"{PREFIX}/"):
        return visit.to(visit.url(f"{PREFIX}/sign-in"))
    beyond = visit.here().removeprefix(visit.origin.prefix)
    return visit.to(f"{visit.url(f'{PREFIX}/sign-in')}?next={quote(beyond, safe='')}")
