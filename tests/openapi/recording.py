"""Writing down what an application is asked and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Exchange:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 0
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in pairs}


class Recorder:
    """Stands before *app*, and changes nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(
            scope["method"],
            scope["raw_path"].decode(),
            scope["query_string"].decode(),
            _headers(list(scope["headers"])),
            body=b"",
        )

        async def listen() -> Message:
            message = await receive()
            exchange.body += message.get("body", b"")
            return message

        async def speak(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.answer_headers = _headers(list(message["headers"]))
            exchange.answer += message.get("body", b"")
            await send(message)

        await self._app(scope, listen, speak)
        self.exchanges.append(exchange)
