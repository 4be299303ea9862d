import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import typer
from typer.testing import CliRunner

from app.cli.simulate import simulate

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


def test_it_makes_faults_and_reports_requests_and_faults_at_the_end() -> None:
    faults = ("--fault", "campaign:cut-after:1", "--fault", "token:500:1", "--no-viber")
    with simulator(*faults) as (process, origin):
        token = httpx.post(f"{origin}/oauth/token", trust_env=False)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(
                f"{origin}/viber/campaign", json={"campaignName": "Spring sale"}, trust_env=False
            )
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)

    assert token.status_code == 500
    assert process.returncode == 0, output
    assert "1 campaign names: 1 requests, 0 accepted, 0 names more than once\n" in output
    assert "campaign cut-after: 1 times\ntoken 500: 1 times\n" in output
    assert "ERROR" not in output


@pytest.mark.parametrize(
    "faults",
    [
        ["campaign:500"],
        ["campaign:no-such-fault:0.1"],
        ["no-such-endpoint:500:0.1"],
        ["campaign:500:often"],
        ["campaign:500:1.5"],
        ["campaign:500:0.6", "campaign:429:0.6"],
    ],
)
def test_invalid_faults_are_refused_before_the_start(faults: list[str]) -> None:
    app = typer.Typer()
    app.command()(simulate)
    options = [part for fault in faults for part in ("--fault", fault)]
    result = CliRunner().invoke(app, options)

    assert result.exit_code == 2
    assert "campaign" in result.output


def test_it_says_how_to_connect_a_receiver_and_an_interrupt_ends_it_cleanly() -> None:
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
    assert process.returncode == 0, output
    assert "0 of 0 callbacks settled" in output
    assert "Traceback" not in output
    assert f"RECEIVER_ROUTEE_API_URL={origin}\n" in output
    assert f"RECEIVER_ROUTEE_AUTH_URL={origin}\n" in output
    assert "RECEIVER_ROUTEE_APPLICATION_ID=demo-application\n" in output
    assert "RECEIVER_ROUTEE_APPLICATION_SECRET='a secret'\n" in output


@pytest.mark.parametrize("option", ["--forget", "--lose-answers"])
@pytest.mark.parametrize("share", ["5 percent", "101%", "-1%", "nan"])
def test_a_share_that_is_none_is_refused(option: str, share: str) -> None:
    app = typer.Typer()
    app.command()(simulate)
    result = CliRunner().invoke(app, [f"{option}={share}"])

    assert result.exit_code == 2
    assert "is no share" in result.output


def test_lost_answers_are_launches_that_are_accepted_without_an_answer() -> None:
    with simulator("--forget", "5%", "--lose-answers", "100%") as (process, origin):
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(
                f"{origin}/viber/campaign",
                json={"campaignName": "Spring sale"},
                trust_env=False,
                timeout=60,
            )
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)

    assert "campaign cut-after: 1 times\n" in output
