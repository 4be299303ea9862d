"""Which answers a caller may store, and how it learns cheaply that an answer has not changed."""

import hashlib
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

_TAG_BYTES: Final = 16
#: RFC 9110, section 8.8.3: an entity tag, quotes included.
_OPAQUE: Final = r'"[\x21\x23-\x7e\x80-\xff]*"'
_TAG: Final = re.compile(_OPAQUE)
_TAGS: Final = re.compile(rf"[\s,]*(?:W/)?{_OPAQUE}(?:[ \t]*,[\s,]*(?:W/)?{_OPAQUE})*[\s,]*")

_CACHE_CONTROL: Final = b"cache-control"
#: A caller may store the answer, but asks each time whether it is still valid.
_REVALIDATED: Final = b"private, no-cache"

#: For the OpenAPI document.
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.NOT_MODIFIED.value: {
        "description": "Unchanged since the `ETag` in `If-None-Match`; the body is left out."
    }
}


class Revalidated(APIRoute):
    """A route whose answers 200 are `revalidated`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, and the comparison after it."""
        answer_to = super().get_route_handler()

        async def _handle(request: Request) -> Response:
            return revalidated(await answer_to(request), request)

        return _handle


def revalidated(answer: Response, request: Request) -> Response:
    """
    *answer* with an `ETag`, or 304 without a body if the request's `If-None-Match` names that tag.

    The tag is a digest of the body, so it is right whatever the body is made of, counts included.
    A call costs the same either way; only the answer is smaller. The tag is weak, since a proxy may
    compress the body on its way, and parts of a body are not served.
    """
    if answer.status_code != HTTPStatus.OK:
        return answer
    tag = weak_tag(bytes(answer.body))
    if is_named(tag, request.headers.getlist("if-none-match")):
        answer = Response(status_code=HTTPStatus.NOT_MODIFIED)
    answer.raw_headers += ((b"etag", tag.encode()), (_CACHE_CONTROL, _REVALIDATED))
    return answer


def weak_tag(body: bytes) -> str:
    """The entity tag of *body*."""
    return f'W/"{hashlib.sha256(body).hexdigest()[: 2 * _TAG_BYTES]}"'


def is_named(tag: str, if_none_match: list[str]) -> bool:
    """
    Whether the header's lines name *tag*, or any tag by `*` (RFC 9110, section 13.1.2).

    The comparison is weak: only the text between the quotes counts. A header that is not a list of
    tags names no tag.
    """
    field = ", ".join(if_none_match).strip()
    if field == "*":
        return True
    return bool(_TAGS.fullmatch(field)) and tag.removeprefix("W/") in _TAG.findall(field)
