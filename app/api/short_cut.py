"""
The reads that backends poll with, as plain ASGI in front of FastAPI.

A FastAPI route costs several times what reading one message costs. What is asked in the plain way
is answered here, by the functions that the routes call as well; whatever is unusual is left to the
routes, which answer the same.
"""

import re
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.caching import NOT_STORED, REVALIDATED, is_named, weak_tag
from app.api.parts import Parts, decoded_id, verified_reader
from app.api.problems import answer_to
from app.api.routes.events import Asked, feed_body, plainly_asked
from app.api.routes.messages import message_body
from app.api.routes.status import message_status_body

_PATH: Final = re.compile("/v1/(messages|status)/([^/]+)")
_FEED: Final = "/v1/events"
_JSON: Final = (b"content-type", b"application/json")
_KEPT: Final = (b"cache-control", REVALIDATED.encode())
_NOT_KEPT: Final = (b"cache-control", NOT_STORED.encode())


class ShortCut:
    """
    Answers what is polled for, and leaves everything else to *app*.

    It needs the undecoded path, so it stands behind `RawPath`.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "GET":
            match = _PATH.fullmatch(scope["path"])
            if match is not None:
                await self._one(scope, receive, send, match)
                return
            if scope["path"] == _FEED:
                asked = plainly_asked(scope["query_string"].decode("latin-1"))
                if asked is not None:
                    await self._page(scope, receive, send, asked)
                    return
        await self._app(scope, receive, send)

    async def _one(self, scope: Scope, receive: Receive, send: Send, match: re.Match[str]) -> None:
        """Answer for one message; what is none may be a campaign."""
        authorization, if_none_match = _headers(scope)
        try:
            tracking_id = decoded_id(match[2])
            await verified_reader(self._parts, authorization)
            body = await self._body(match[1], tracking_id)
        except Exception as error:  # noqa: BLE001 (told as the routes tell it)
            await _refuse(error, scope, receive, send)
            return
        if body is None:
            await self._app(scope, receive, send)
            return
        tag = weak_tag(body)
        kept = ((b"etag", tag.encode()), _KEPT)
        if is_named(tag, if_none_match):
            await _answer(send, HTTPStatus.NOT_MODIFIED, b"", *kept)
        else:
            await _answer(send, HTTPStatus.OK, body, _length(body), _JSON, *kept)

    async def _body(self, noun: str, tracking_id: str) -> bytes | None:
        if noun == "messages":
            return await message_body(self._parts, tracking_id)
        return await message_status_body(self._parts, tracking_id)

    async def _page(self, scope: Scope, receive: Receive, send: Send, asked: Asked) -> None:
        """Answer a page of the feed."""
        authorization, _ = _headers(scope)
        try:
            await verified_reader(self._parts, authorization)
            body = await feed_body(self._parts, asked, receive)
        except Exception as error:  # noqa: BLE001 (told as the routes tell it)
            await _refuse(error, scope, receive, send)
            return
        await _answer(send, HTTPStatus.OK, body, _length(body), _JSON, _NOT_KEPT)


def _headers(scope: Scope) -> tuple[str | None, list[str]]:
    """The first `Authorization`, and all lines of `If-None-Match`."""
    authorization, if_none_match = None, []
    for name, value in scope["headers"]:
        if name == b"authorization" and authorization is None:
            authorization = value.decode("latin-1")
        elif name == b"if-none-match":
            if_none_match.append(value.decode("latin-1"))
    return authorization, if_none_match


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    answer = answer_to(error)
    answer.headers.setdefault("Cache-Control", NOT_STORED)
    await answer(scope, receive, send)


async def _answer(
    send: Send, status: HTTPStatus, body: bytes, *headers: tuple[bytes, bytes]
) -> None:
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()
