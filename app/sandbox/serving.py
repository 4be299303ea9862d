"""Serves an ASGI application on a loopback port within this process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_GRACE_SECONDS: Final = 5
_BACKLOG: Final = 512
_LOOPBACK: Final = "127.0.0.1"


class _EmbeddedServer(uvicorn.Server):
    """A server that does not handle the signals of the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening_socket(preferred_port: int = 0) -> socket.socket:
    """A listening socket on loopback, at *preferred_port* or, if it is in use, any other port."""
    try:
        return _listening_on(preferred_port)
    except OSError:
        return _listening_on(0)


def _listening_on(port: int) -> socket.socket:
    # With an explicit protocol asyncio turns Nagle's algorithm off, without one each answer takes
    # 40 ms longer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def url_of(listening: socket.socket) -> str:
    """The address of an application served on *listening*."""
    host, port = listening.getsockname()
    return f"http://{host}:{port}"


@asynccontextmanager
async def served(
    app: ASGIApp, listening: socket.socket, *, http: type[asyncio.Protocol] | str = "httptools"
) -> AsyncIterator[None]:
    """
    Serve *app* with uvicorn's protocol *http* while the block runs.

    Raises:
        RuntimeError: the application did not start.
    """
    config = uvicorn.Config(
        app,
        http=http,
        lifespan="on",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _EmbeddedServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            if serving.done():
                raise RuntimeError("the application did not start") from serving.exception()
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving
