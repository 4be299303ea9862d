"""Asking prepared requests with wrk."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.wrk import WrkFailed

CONNECTIONS: Final = 64
_GRACE_SECONDS: Final = 20.0
_SCRIPT: Final = Path(__file__).with_name("reads.lua")


class Request(NamedTuple):
    """What is asked once."""

    path: str
    method: str = "GET"
    body: str = ""


class Load(NamedTuple):
    """What came back of one run."""

    answered: int
    #: Answers that were no 2xx.
    refused: int
    #: Connections that could not be made, broke or timed out.
    lost: int
    #: With the headers.
    bytes: int
    seconds: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers 2xx a second."""
        return (self.answered - self.refused) / self.seconds


def written(path: Path, requests: Sequence[Request]) -> Path:
    """A file with *requests*."""
    path.write_text("".join(f"{one.method}\t{one.path}\t{one.body}\n" for one in requests))
    return path


async def asked(url: str, requests: Path, headers: Mapping[str, str], *, seconds: int) -> Load:
    """
    Ask *url* the requests of a file for so long.

    Raises:
        WrkFailed: it did not run to its end.
    """
    options = ("-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT))
    process = await asyncio.create_subprocess_exec(
        "wrk",
        *(*options, url, "--", str(requests), *chain.from_iterable(headers.items())),
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
    return _load_in(output.decode(), process.returncode)


def _load_in(output: str, code: int | None) -> Load:
    lines = [line for line in output.splitlines() if line.startswith('{"answered"')]
    if code != 0 or len(lines) != 1:
        raise WrkFailed(f"wrk ended with {code}:\n{output}")
    printed = json.loads(lines[0])
    return Load(seconds=printed.pop("microseconds") / 1e6, **printed)
