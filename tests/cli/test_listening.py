"""A busy process accepts many connections at once."""

import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing

CROWD = 400
#: The duration of each tick of the event loop.
BUSY_SECONDS = 0.005
SERVER = f"""
import asyncio, sys, time
from uvicorn import Config
from app.cli.listening import listen

async def hog():
    while True:
        time.sleep({BUSY_SECONDS})
        await asyncio.sleep(0)

hogs = []

async def app(scope, receive, send):
    if not hogs:
        hogs.append(asyncio.create_task(hog()))
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b""}})

listen(Config(app, port=int(sys.argv[1]), loop="uvloop", lifespan="off", log_level="error"))
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _command(port: int) -> list[str]:
    return [sys.executable, "-c", SERVER, str(port)]


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def _connected(port: int) -> socket.socket:
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("no process listens")


def _is_answered(connection: socket.socket) -> bool:
    connection.sendall(REQUEST)
    return connection.recv(12) == b"HTTP/1.1 200"


def test_many_connections_are_accepted_in_one_tick() -> None:
    port = _free_port()
    with subprocess.Popen(_command(port)) as process, ExitStack() as stack:  # noqa: S603
        stack.callback(process.terminate)
        assert _is_answered(stack.enter_context(_connected(port)))
        crowd = [stack.enter_context(_connected(port)) for _ in range(CROWD)]
        began = time.monotonic()
        assert _is_answered(crowd[-1])
        # One per tick, the last one would have waited for as many ticks as there are others.
        assert time.monotonic() - began < CROWD * BUSY_SECONDS / 2


def test_a_port_in_use_ends_the_program_with_a_message() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        command = _command(taken.getsockname()[1])
        ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    assert ended.returncode != 0
    assert "in use" in ended.stderr
