"""Routing by the undecoded path, so that an id may contain `%2F`."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_API: Final = "/v1/"


class RawPath:
    """
    Passes the undecoded path of API calls to *app*.

    Servers decode paths, which makes `a%2Fb` and `a/b` the same. The routes decode their ids
    themselves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "http" and scope["path"].startswith(_API):
            raw: bytes = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": raw.partition(b"?")[0].decode("latin-1")}
        await self._app(scope, receive, send)
