"""`routee-receiver healthcheck`: it imports little, as containers run it every few seconds."""

import http.client
import json
import sys
from typing import Annotated, Final

import typer

_TIMEOUT_SECONDS: Final = 2.0
_DEFAULT_PORT: Final = 8000


def healthcheck(
    port: Annotated[
        int,
        typer.Option(
            envvar=["RECEIVER_OPERATIONS_PORT", "RECEIVER_API_PORT"],
            min=1,
            max=65535,
            help="Port of /readyz at --host.",
        ),
    ] = _DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address of `serve`.")] = "127.0.0.1",
) -> None:
    """
    Ask /readyz of a running `serve`; exit code 0 if it can store callbacks, else 1.

    One line says why. Give --port if `serve` has another one and none of these variables is set.
    """
    is_ready, line = _asked(host, port)
    sys.stdout.write(f"{line}\n")
    raise typer.Exit(0 if is_ready else 1)


def alone() -> None:
    """Run the command without all others; the first argument is its name."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(healthcheck)
    app(args=sys.argv[2:], prog_name="routee-receiver healthcheck")


def _asked(host: str, port: int) -> tuple[bool, str]:
    """Whether it is ready, and why in one line."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except TimeoutError:
        return False, f"no answer from {host}:{port} within {_TIMEOUT_SECONDS:g} s"
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer from {host}:{port}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    if answer.status == http.client.OK:
        return True, "ready"
    return False, f"not ready ({answer.status}): {_detail_of(body)}"


def _detail_of(body: bytes) -> str:
    try:
        return " ".join(str(json.loads(body)["detail"]).split())
    except (ValueError, KeyError, TypeError):
        return "this is not a port that serves /readyz; set RECEIVER_OPERATIONS_PORT or --port"
