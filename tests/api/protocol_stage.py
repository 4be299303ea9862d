"""A uvicorn with the protocols of `serve` in front of an intake that stores nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import Any, cast
from uuid import UUID

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.api.callback_protocol import CallbackProtocol
from app.api.http_protocol import HttpProtocol
from app.api.receiver import CallbackReceiver
from app.domain.callback_token import CallbackTokens
from app.kit.batcher import Full
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.services.callbacks.intake import Body, Intake, Receipt

SECRET = "s" * 40
STATUS = f"/callbacks/{SECRET}/status"
MAX_BODY_BYTES = 200_000
STORED = b'{"result":"stored"}'

Done = Callable[[Receipt | BaseException], object]
Protocol = type[HttpProtocol]


class FakeIntake:
    """Says that bodies are stored, at once or when it is let, and which way they came."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.put_directly: list[Body] = []
        self.through_asgi: list[bytes] = []
        self.is_full = False
        self.outcome: Receipt | BaseException = Receipt.STORED
        self._telling: set[asyncio.Task[None]] = set()

    async def has(self, items: int) -> None:
        """Return once so many were put, in whatever time that takes the machine."""
        async with asyncio.timeout(10):
            while len(self.put_directly) + len(self.through_asgi) < items:  # noqa: ASYNC110 (a list tells nobody)
                await asyncio.sleep(0.01)

    def put(self, body: Body, done: Done) -> None:
        if self.is_full:
            done(Full())
            return
        self.put_directly.append(body)
        task = asyncio.create_task(self._tell(done))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def receive(
        self,
        body: bytes,
        *,
        path: str,
        campaign_id: UUID | None = None,
        content: Content | None = None,
    ) -> Receipt:
        del path, campaign_id, content
        if self.is_full:
            raise Full
        self.through_asgi.append(body)
        await self.gate.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def _tell(self, done: Done) -> None:
        await self.gate.wait()
        done(self.outcome)


class Stage:
    """A uvicorn with one of the protocols of `serve`, and connections to it."""

    def __init__(
        self,
        http: Protocol = CallbackProtocol,
        *,
        keep_alive_seconds: int = 5,
        **options: Any,  # noqa: ANN401 (of the protocol)
    ) -> None:
        self.http = http
        self.intake = FakeIntake()
        self.metrics = Metrics()
        receiver = CallbackReceiver(
            elsewhere,
            intake=cast("Intake", self.intake),
            tokens=CallbackTokens(secrets=[SECRET], signing_keys=["k" * 40]),
            metrics=self.metrics,
            max_body_bytes=MAX_BODY_BYTES,
            ack_budget_seconds=1.9,
        )
        config = uvicorn.Config(
            receiver,
            http=cast("Protocol", partial(http, **options)),
            loop="asyncio",
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            access_log=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=keep_alive_seconds,
        )
        self.server = uvicorn.Server(config)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self._connections: list[Connection] = []

    def taken(self) -> list[bytes]:
        """The bodies that came by the shortest way that the protocol has."""
        if self.http is CallbackProtocol:
            return [body.octets for body in self.intake.put_directly]
        return self.intake.through_asgi

    async def connect(self) -> "Connection":
        connection = Connection(*await asyncio.open_connection(*self.socket.getsockname()))
        self._connections.append(connection)
        return connection

    async def disconnect(self) -> None:
        for connection in self._connections:
            connection.writer.close()
            with suppress(OSError):
                await connection.writer.wait_closed()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.05 if len(parts) > 1 else 0)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, headers and body."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            while head.startswith(b"HTTP/1.1 100 "):
                head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            return int(head[9:12]), head.lower(), await self.reader.readexactly(length)

    async def is_closed(self) -> bool:
        async with asyncio.timeout(5):
            return await self.reader.read() == b""


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Says the path, and the size of a body that is not empty."""
    size = len(await Request(scope, receive).body())
    text = f"elsewhere {scope['path']}{f' {size}' if size else ''}"
    await PlainTextResponse(text)(scope, receive, send)


@asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[Stage]:
    stage.server.capture_signals = nullcontext  # type: ignore[assignment]
    serving = asyncio.create_task(stage.server.serve([stage.socket]))
    while not stage.server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield stage
    finally:
        stage.intake.gate.set()
        await stage.disconnect()
        stage.server.should_exit = True
        await serving


def post(body: bytes, *headers: str, target: str = STATUS) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
