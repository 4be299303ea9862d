"""
Fast routes for the calls that backends poll with.

For these calls, FastAPI's routing and dependency injection cost several times what the read costs.
So each has a route class that fills in the endpoint's arguments itself, and `FastReads` calls it
before FastAPI sees the request. FastAPI documents the routes by the signatures of their endpoints.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from app.api.caching import Revalidated
from app.api.parts import decoded_id, parts_of, verified_caller
from app.api.problems import answer_to
from app.domain.api_key import Scope as KeyScope

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class FastRead(APIRoute):
    """A GET route whose endpoint takes what `arguments` gives, and returns the answer itself."""

    def get_route_handler(self) -> _Handler:
        """Call the endpoint with nothing in between."""

        async def _handle(request: Request) -> Response:
            answer: Response = await self.endpoint(*await self.arguments(request))
            return answer

        return _handle

    async def arguments(self, request: Request) -> tuple[object, ...]:
        """
        The endpoint's arguments, in the order of its signature.

        Raises:
            ApiError: the call is refused.
            RequestValidationError: a parameter is invalid.
        """
        raise NotImplementedError


class ReadById(FastRead):
    """A route `…/{tracking_id}` whose endpoint takes the decoded id, the parts and the reader."""

    async def arguments(self, request: Request) -> tuple[object, ...]:
        """The id is checked before the key, as FastAPI resolves the dependencies."""
        tracking_id = decoded_id(request.path_params["tracking_id"])
        reader = await verified_caller(request, KeyScope.READ)
        return tracking_id, await parts_of(request), reader


class RevalidatedRead(Revalidated, ReadById):
    """A route of `ReadById` whose answers 200 are revalidated."""


class FastReads:
    """
    Answers GET calls of the fast routes, and leaves all other calls to *api*.

    It needs the undecoded path, so it stands behind `RawPath`.
    """

    def __init__(self, api: FastAPI, routes: Iterable[FastRead]) -> None:
        self._api = api
        self._routes = [(route.path_regex, route, route.get_route_handler()) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "GET":
            for path_regex, route, handle in self._routes:
                match = path_regex.match(scope["path"])
                if match is not None:
                    # What stands in front of this sees the route.
                    scope.update(app=self._api, path_params=match.groupdict(), route=route)
                    answer = await _answer_of(handle, Request(scope, receive, send))
                    await answer(scope, receive, send)
                    return
        await self._api(scope, receive, send)


async def _answer_of(handle: _Handler, request: Request) -> Response:
    try:
        return await handle(request)
    except Exception as error:  # noqa: BLE001 (answered as the API's exception handlers do)
        return answer_to(error, request)
