"""`routee-receiver rebuild --verify`: the service's own comparison of projections and events."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping, Sequence
from typing import Final

_VERIFY: Final = ("rebuild", "--verify")
_SECONDS: Final = 600.0
#: What the command line answers to a command that it does not have.
_NO_COMMAND: Final = 2
_SHOWN_LINES: Final = 5


async def verification_faults(
    command: Sequence[str], settings: Mapping[str, str]
) -> list[str] | None:
    """
    What `rebuild --verify` of *command* finds; None if there is no such command.

    *settings* are RECEIVER_… variables.

    Raises:
        TimeoutError: it takes too long.
    """
    own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
    process = await asyncio.create_subprocess_exec(
        *command, *_VERIFY, env=own | dict(settings), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return []
    if process.returncode == _NO_COMMAND:
        return None
    lines = output.decode(errors="replace").splitlines()
    return [f"exit code {process.returncode}", *lines[-_SHOWN_LINES:]]
