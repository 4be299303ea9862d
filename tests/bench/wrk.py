"""The only file that knows how `wrk` is called and what it prints."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.callbacks import Texts

CONNECTIONS: Final = 64
#: What wrk may need beyond its time before it is ended.
_GRACE_SECONDS: Final = 20.0
_SCRIPT: Final = Path(__file__).with_name("callbacks.lua")

INSTALL: Final = (
    "make bench needs the load generator wrk, which is not installed. Install it with\n"
    "  apt-get install wrk      (Debian, Ubuntu; with sudo unless you are root)\n"
    "  brew install wrk         (macOS)"
)


class WrkFailed(Exception):
    """wrk did not run to its end."""


class Load(NamedTuple):
    """What one run of wrk sent and what came back."""

    #: Requests with a whole answer, whatever it said.
    answered: int
    #: Answers that were no 2xx.
    refused: int
    #: Connections that could not be made, broke or timed out.
    lost: int
    #: Requests that were written; up to one for each connection went unanswered at the end.
    sent: int
    #: How many different events these requests report.
    distinct: int
    seconds: float
    connections: int
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @property
    def acknowledged(self) -> int:
        """Answers 2xx."""
        return self.answered - self.refused

    @property
    def per_second(self) -> float:
        """Answers 2xx a second."""
        return self.acknowledged / self.seconds


def is_installed() -> bool:
    """Whether there is a wrk to call."""
    return shutil.which("wrk") is not None


async def posted(  # noqa: PLR0913 (each by its name)
    url: str,
    *,
    mark: str,
    seconds: int,
    connections: int = CONNECTIONS,
    texts: Texts = Texts.HALF,
    campaigns: str = "",
) -> Load:
    """
    Post callbacks to *url* for so long, with ids that begin with *mark*.

    Those of campaigns begin with *campaigns*, if it is given.

    Raises:
        WrkFailed: it did not run to its end.
    """
    options = ("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s")
    process = await asyncio.create_subprocess_exec(
        "wrk",
        *options,
        "-s",
        str(_SCRIPT),
        url,
        "--",
        mark,
        texts,
        *([campaigns] if campaigns else []),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + _GRACE_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise WrkFailed("wrk did not end in time") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _load_in(output.decode(), process.returncode, connections)


def _load_in(output: str, code: int | None, connections: int) -> Load:
    lines = [line for line in output.splitlines() if line.startswith('{"answered"')]
    if code != 0 or len(lines) != 1:
        raise WrkFailed(f"wrk ended with {code}:\n{output}")
    printed = json.loads(lines[0])
    seconds = printed.pop("microseconds") / 1e6
    return Load(**printed, seconds=seconds, connections=connections)
