import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from app.sandbox.processes import HOST, free_port

_HEAVY = ("fastapi", "sqlalchemy", "asyncpg", "pydantic", "httpx", "uvicorn", "app.cli")


@contextmanager
def _service(status: int, body: bytes) -> Iterator[int]:
    """The port of something that answers /readyz so."""

    class _Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer((HOST, 0), _Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _run(*arguments: str, **settings: str) -> tuple[int, str]:
    own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
    ended = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-m", "app", "healthcheck", *arguments],
        env=own | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


def test_a_ready_service_is_healthy_at_the_port_of_its_operations() -> None:
    with _service(200, b'{"status":"ready"}') as port:
        assert _run(RECEIVER_OPERATIONS_PORT=str(port)) == (0, "ready\n")
        assert _run("--port", str(port), RECEIVER_OPERATIONS_PORT="") == (0, "ready\n")


def test_the_line_says_why_it_is_not() -> None:
    detail = json.dumps({"detail": "The database\ndoes not answer."}).encode()
    with _service(503, detail) as port:
        assert _run(f"--port={port}") == (1, "not ready (503): The database does not answer.\n")
    code, line = _run(f"--port={free_port()}")
    assert code == 1
    assert "refused" in line
    with _service(404, b"<html>") as port:
        code, line = _run(f"--port={port}")
    assert code == 1
    assert "RECEIVER_OPERATIONS_PORT" in line


def test_a_port_that_is_none_is_an_error_in_plain_words() -> None:
    code, shown = _run("--port=none")
    assert code == 2
    assert "not a valid int" in shown


def test_it_does_not_import_the_application() -> None:
    program = (
        "import sys; sys.argv[1:] = ['healthcheck', '--port=1']\n"
        "from app.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {_HEAVY} if name in sys.modules])"
    )
    ended = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"
