"""A scripted Routee on a real loopback socket."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.routee.client import RouteeClient
from app.routee.exchange import Patience
from app.routee.repeats import Repeats

APPLICATION_ID = "application-of-the-tests"
APPLICATION_SECRET = "secret-of-the-tests"
TOKEN_PATH = "/oauth/token"

#: Real time-outs and pauses, scaled down.
SHORT = Patience(connect_seconds=0.5, answer_seconds=0.4)
BRISK = Repeats(first_pause_seconds=0.01, jitter_seconds=0.01)

Step = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Received:
    method: str
    #: As it came, still percent-encoded.
    target: str
    headers: Mapping[str, str]
    body: bytes


def says(
    status: int = 200, content: object = None, *, headers: Mapping[str, str] | None = None
) -> Step:
    """Answers *content*: bytes as they are, anything else as JSON."""

    async def step(_: Request) -> Response:
        if isinstance(content, bytes):
            return Response(content, status, headers)
        return JSONResponse(content, status, headers)

    return step


def late(seconds: float, step: Step) -> Step:
    async def wait(request: Request) -> Response:
        await asyncio.sleep(seconds)
        return await step(request)

    return wait


def breaks_off(content: bytes, *, announced_bytes: int) -> Step:
    """Announces more bytes than it sends, and hangs up."""

    async def step(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        return StreamingResponse(pieces(), headers={"Content-Length": str(announced_bytes)})

    return step


def trickles(piece: bytes, *, pieces: int, seconds: float) -> Step:
    """One piece after another, each soon enough, all together too slow."""

    async def step(_: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            for _ in range(pieces):
                await asyncio.sleep(seconds)
                yield piece

        return StreamingResponse(stream())

    return step


@dataclass
class ScriptedRoutee:
    #: Breaks every connection off.
    cut: Callable[[], None]
    url: str = ""
    received: list[Received] = field(default_factory=list)
    #: What the token service and the API answer next; the last step stays.
    tokens: deque[Step] = field(default_factory=deque)
    script: deque[Step] = field(default_factory=deque)

    @property
    def token_requests(self) -> list[Received]:
        return [request for request in self.received if request.target == TOKEN_PATH]

    @property
    def calls(self) -> list[Received]:
        return [request for request in self.received if request.target != TOKEN_PATH]

    def will(self, *steps: Step) -> None:
        self.script = deque(steps)

    def will_give_tokens(self, *steps: Step) -> None:
        self.tokens = deque(steps)

    def hangs_up(self) -> Step:
        """Cuts the connection instead of answering."""

        async def step(_: Request) -> Response:
            self.cut()
            return Response()

        return step

    def client(self, **changes: Any) -> RouteeClient:  # noqa: ANN401 (as the client's)
        arguments: dict[str, Any] = {
            "api_url": self.url,
            "auth_url": self.url,
            "application_id": APPLICATION_ID,
            "application_secret": APPLICATION_SECRET,
            "patience": SHORT,
            "repeats": BRISK,
        }
        return RouteeClient(**(arguments | changes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        target = scope["raw_path"].decode()
        if scope["query_string"]:
            target += f"?{scope['query_string'].decode()}"
        self.received.append(
            Received(request.method, target, dict(request.headers), await request.body())
        )
        step = self._next(self.tokens if target == TOKEN_PATH else self.script)
        response = await step(request)
        await response(scope, receive, send)

    def _next(self, steps: deque[Step]) -> Step:
        if not steps:
            return self._fresh_token
        return steps.popleft() if len(steps) > 1 else steps[0]

    async def _fresh_token(self, _: Request) -> Response:
        name = f"token-{len(self.token_requests)}"
        return JSONResponse({"access_token": name, "token_type": "bearer", "expires_in": 3600})


@asynccontextmanager
async def scripted_routee() -> AsyncIterator[ScriptedRoutee]:
    """
    Routee on a free port.

    Runs uvicorn's protocol without its server, which takes a quarter of a second to stop.
    """
    state = ServerState()
    routee = ScriptedRoutee(lambda: _cut(state))
    config = uvicorn.Config(routee, lifespan="off", ws="none", log_config=None)
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    routee.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield routee
    finally:
        server.close()
        _cut(state)
        unfinished = [*state.tasks]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


def _cut(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.transport.abort()
