"""Reading JSON bodies after the key is verified, with exact numbers."""

from http import HTTPStatus
from typing import Final

from fastapi import HTTPException, Request

from app.errors import Fault, InvalidRequest
from app.routee.wire import Unreadable, parse

#: Enough for a thousand recipients and the longest text, or for a thousand ids.
_MAX_BODY_BYTES: Final = 1_048_576


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
