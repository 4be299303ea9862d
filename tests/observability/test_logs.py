"""No secret leaves in a log line, and above all in no traceback."""

import json
import subprocess
import sys

import pytest

from app.domain.masking import SecretMask
from app.observability.logs import masked_line

API_KEY = "rr_" + "k" * 43
TOKEN = "t" * 40

_FAILING = f"""
import logging, structlog

def fail(key):
    authorization = "Bearer " + key
    raise RuntimeError("refused: authorization=" + repr(authorization)
        + ", 'https://x/callbacks/{TOKEN}/status', +306912345678")

def log_failures():
    for log in (structlog.get_logger(), logging.getLogger("library")):
        try:
            fail("{API_KEY}")
        except RuntimeError:
            log.exception("a request failed")
"""
_CONFIGURED = """
from app.observability.logs import configure_logs
configure_logs(log_format="{log_format}")
log_failures()
"""
#: A command that logs, run as the console script runs it.
_COMMAND = """
import app.cli, sys
app.cli.app.command("fail")(log_failures)
sys.argv = ["routee-receiver", "fail"]
app.cli.main()
"""


@pytest.mark.parametrize(
    "program",
    [_CONFIGURED.format(log_format="json"), _CONFIGURED.format(log_format="console"), _COMMAND],
    ids=["json", "console", "command"],
)
def test_a_traceback_shows_no_local_and_no_secret(program: str) -> None:
    ended = subprocess.run(  # noqa: S603 (our own interpreter and program)
        [sys.executable, "-c", _FAILING + program], check=True, capture_output=True, text=True
    )
    assert ended.stdout == ""
    assert ended.stderr.count("Traceback") == 2
    assert ended.stderr.count("RuntimeError: refused") == 2
    for secret in (API_KEY, TOKEN, "6912345678"):
        assert secret not in ended.stderr
    assert "***678" in ended.stderr
    assert "authorization =" not in ended.stderr


@pytest.mark.parametrize(
    "spelling",
    [
        "+306912345678",
        "%2B306912345678",
        "+30 691 234 5678",
        "+30\u00a0691\u2011234\u200e5678",
        "+\u0663\u0660 (691) 234.5678",
    ],
)
def test_a_number_with_its_plus_is_masked_in_every_spelling(spelling: str) -> None:
    line = f"refused {spelling}, tried at 20260330101500"
    assert masked_line(SecretMask(), None, "", line) == "refused ***678, tried at 20260330101500"


SECRET = "callback-secret-Qm3vX9tLk2RwZ7bYc5NdGh8S"
_LOGGING_SECRETS = f"""
import logging, structlog
from app.domain.masking import SecretMask
from app.observability.logs import configure_logs

configure_logs(log_format="{{log_format}}", mask=SecretMask(["{SECRET}"]))
escaped = "".join(f"%{{{{ord(one):02x}}}}" for one in "{SECRET}")
log = structlog.get_logger()
log.warning("in values", nested=[{{{{"a": "{SECRET}"}}}}, ("+306912345678",)], body=b"{SECRET}")
log.warning("in a name", **{{{{"{SECRET}": 1}}}})
log.warning("escaped {SECRET}", value=escaped, key={{{{"{API_KEY}"}}}}, said='"Bearer abc.def"')
logging.getLogger("library").warning("%s and %r", "{SECRET}", ["+306912345678"])
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_shows_no_secret_whatever_it_is_made_of(log_format: str) -> None:
    program = _LOGGING_SECRETS.format(log_format=log_format)
    ended = subprocess.run(  # noqa: S603 (our own interpreter and program)
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    lines = ended.stderr.splitlines()
    assert len(lines) == 4
    for secret in (SECRET, API_KEY, "6912345678", "abc.def", f"%{ord(SECRET[0]):02x}"):
        assert secret not in ended.stderr
    assert ended.stderr.count("***") >= 8
    if log_format == "json":
        assert all(json.loads(line)["level"] == "warning" for line in lines)


_CANCELLED = """
import asyncio, logging
from app.observability.logs import configure_logs

configure_logs(log_format="json")
for error in (asyncio.CancelledError(), OSError("gone")):
    logging.getLogger("sqlalchemy.pool").error("closing failed", exc_info=error)
"""


def test_what_was_cancelled_is_no_error() -> None:
    ended = subprocess.run(  # noqa: S603 (our own interpreter and program)
        [sys.executable, "-c", _CANCELLED], check=True, capture_output=True, text=True
    )
    [line] = ended.stderr.splitlines()
    assert "gone" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (["migrate"], {"RECEIVER_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "PostgreSQL"),
        (["serve"], {"RECEIVER_CALLBACK_SECRETS": ""}, "RECEIVER_CALLBACK_SECRETS"),
        (["serve"], {"RECEIVER_RETENTION_RAW_DAYS": "x"}, "RECEIVER_RETENTION_RAW_DAYS"),
    ],
)
def test_a_start_that_fails_says_so_in_json_to_a_collector(
    arguments: list[str], settings: dict[str, str], told: str
) -> None:
    ended = subprocess.run(  # noqa: S603 (our own interpreter and program)
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "RECEIVER_LOG_FORMAT": "json", **settings},
    )
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert lines[-1]["level"] == "error"
    assert told in lines[-1]["event"]


def test_a_program_that_fails_unexpectedly_says_so_in_json_and_without_secrets() -> None:
    program = f"""
import warnings
from app.observability.logs import configure_logs
configure_logs(log_format="json")
warnings.warn("something is old", stacklevel=1)
raise RuntimeError("refused {API_KEY}")
"""
    ended = subprocess.run(  # noqa: S603 (our own interpreter and program)
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    warned, failed = (json.loads(line) for line in ended.stderr.splitlines())
    assert "something is old" in warned["event"]
    assert failed["level"] == "critical"
    assert "RuntimeError" in failed["exception"]
    assert API_KEY not in ended.stderr
