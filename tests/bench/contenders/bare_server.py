"""
The ceiling: an ASGI application that reads the body, stores nothing and says 200.

`python -m tests.bench.contenders.bare_server PORT` serves it as `routee-receiver serve` would.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import uvicorn

Message = MutableMapping[str, Any]

_BODY: Final = b'{"result":"stored"}'
_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-length", str(len(_BODY)).encode()),
        (b"content-type", b"application/json"),
    ],
}


async def store_nothing(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """One ASGI request."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body", False):
        pass
    await send(_START)
    await send({"type": "http.response.body", "body": _BODY})


if __name__ == "__main__":
    uvicorn.run(
        store_nothing,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=65,
    )
