import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

_COMMAND = "import typer; from app.cli.simulate import simulate; typer.run(simulate)"


@contextmanager
def simulator(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process of its own, listening; and its origin."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 (our own command)
        [sys.executable, "-c", _COMMAND, "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        origin = f"http://127.0.0.1:{port}"
        _wait_for(origin, process)
        yield process, origin
    finally:
        process.kill()
        process.communicate()


def _wait_for(origin: str, process: subprocess.Popen[str]) -> None:
    for _ in range(200):
        assert process.poll() is None, process.communicate()[0]
        try:
            httpx.get(origin, trust_env=False)
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the simulator does not listen")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_its_progress(number: signal.Signals) -> None:
    with simulator() as (process, _):
        process.send_signal(number)
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 0, output
    assert "0 of 0 callbacks settled" in output
    assert "Traceback" not in output


def test_it_says_how_to_connect_a_receiver_and_takes_these_credentials() -> None:
    with simulator("--application-secret", "a secret", "--shuffled") as (process, origin):
        token = httpx.post(
            f"{origin}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=("demo-application", "a secret"),
            trust_env=False,
        )
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)

    assert token.status_code == 200
    assert f"RECEIVER_ROUTEE_API_URL={origin}\n" in output
    assert f"RECEIVER_ROUTEE_AUTH_URL={origin}\n" in output
    assert "RECEIVER_ROUTEE_APPLICATION_ID=demo-application\n" in output
    assert "RECEIVER_ROUTEE_APPLICATION_SECRET='a secret'\n" in output
