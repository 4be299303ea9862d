"""Starting modules and programs for the length of a block."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.promises.stage import eventually

PIPE = asyncio.subprocess.PIPE
STDOUT = asyncio.subprocess.STDOUT


@asynccontextmanager
async def running(
    *command: object,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program with its input and output, killed with the block; its errors go to *log*."""
    with ExitStack() as stack:
        errors = stack.enter_context(log.open("ab")) if log else None
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdin=PIPE, stdout=PIPE, stderr=errors, env=environment
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Output(NamedTuple):
    """What a program has printed, errors as well, and its exit code."""

    text: str
    code: int | None


async def output_of(
    *command: object,
    patience_seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Output:
    """
    Run a program in *folder* to its end.

    Raises:
        TimeoutError: it took longer than *patience_seconds*, and was killed.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=PIPE, stderr=STDOUT, env=environment, cwd=folder
    )
    try:
        async with asyncio.timeout(patience_seconds):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Output(output.decode(errors="replace"), process.returncode)


def module(name: str, *arguments: object) -> tuple[object, ...]:
    """The command that runs a module of ours."""
    return (sys.executable, "-m", name, *arguments)


async def answers(url: str, body: bytes) -> None:
    """Return once posting *body* is answered 2xx."""
    async with httpx.AsyncClient(trust_env=False) as client:

        async def _does() -> bool:
            with suppress(httpx.TransportError):
                headers = {"Content-Type": "application/json"}
                return (await client.post(url, content=body, headers=headers)).is_success
            return False

        await eventually(_does)
