"""What may be kept of an answer, and how a caller learns cheaply that nothing has changed."""

import hashlib
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_API: Final = "/v1/"
_TAG_BYTES: Final = 16
#: RFC 9110, section 8.8.3: what stands between the quotes of an entity tag.
_OPAQUE: Final = r'"[\x21\x23-\x7e\x80-\xff]*"'
_TAG: Final = re.compile(_OPAQUE)
_TAGS: Final = re.compile(rf"[\s,]*(?:W/)?{_OPAQUE}(?:[ \t]*,[\s,]*(?:W/)?{_OPAQUE})*[\s,]*")

#: A caller may keep the answer, but asks each time whether it still holds.
REVALIDATED: Final = "private, no-cache"
NOT_STORED: Final = "no-store"

#: For the OpenAPI document.
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.NOT_MODIFIED.value: {
        "description": "It is as the `ETag` in `If-None-Match` says; the body is left out."
    }
}


class Revalidated(APIRoute):
    """
    A route whose answer has an `ETag`, and is 304 when `If-None-Match` has that.

    The tag is made of the whole body, so it is right for whatever the body is made of, counts
    included; asking costs the same, only the answer gets small. It is weak, as a proxy may compress
    the body on its way, and nobody asks for a part of it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, and the comparison after it."""
        answer_to = super().get_route_handler()

        async def _handle(request: Request) -> Response:
            answer = await answer_to(request)
            if answer.status_code != HTTPStatus.OK:
                return answer
            tag = weak_tag(bytes(answer.body))
            headers = {"ETag": tag, "Cache-Control": REVALIDATED}
            if is_named(tag, request.headers.getlist("if-none-match")):
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            answer.headers.update(headers)
            return answer

        return _handle


def weak_tag(body: bytes) -> str:
    """The entity tag of *body*."""
    return f'W/"{hashlib.sha256(body).hexdigest()[: 2 * _TAG_BYTES]}"'


def is_named(tag: str, if_none_match: list[str]) -> bool:
    """
    Whether the header's lines name *tag*, or anything (RFC 9110, section 13.1.2).

    Compared weakly: only what is between the quotes counts. A header that is no list of tags names
    nothing.
    """
    field = ", ".join(if_none_match).strip()
    if field == "*":
        return True
    return bool(_TAGS.fullmatch(field)) and tag.removeprefix("W/") in _TAG.findall(field)


class NoStore:
    """
    Forbids everybody to store what *app* answers to calls of the API and says nothing else about.

    The answers have telephone numbers and what people wrote.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", NOT_STORED)
            await send(message)

        await self._app(scope, receive, _send)
