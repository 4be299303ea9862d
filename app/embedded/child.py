"""The only file that starts processes of PostgreSQL."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.embedded.account import Account
from app.embedded.log_file import LogFile
from app.embedded.progress import POLL_SECONDS

#: Nothing of ours: no setting with a secret in it, no PGPORT or PGDATA that would be obeyed.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}

#: The way to a working directory that was entered before the change of account.
_WORKING_DIRECTORY = Path("/proc/self/cwd")


def seen_from_within(folder: Path, account: Account) -> Path:
    """
    How a child that works in *folder* can name it.

    Its path, unless the account may not pass a folder above it. Those are not ours to open, but
    the kernel lets every process through the link to its own working directory.
    """
    return folder if account.reaches(folder, "rwx") else _WORKING_DIRECTORY


def spawn(  # noqa: PLR0913 (all that differs between two children)
    command: Sequence[str | Path],
    *,
    folder: Path,
    account: Account,
    log: LogFile,
    lock_descriptor: int,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """
    A child in *folder*, under *account*, that holds the lock for as long as it or a child lives.

    It has a session of its own, so that Ctrl-C in the terminal reaches us and not the database.
    """
    return subprocess.Popen(  # noqa: S603 (our own binaries)
        command,
        cwd=folder,
        env={**_ENVIRONMENT, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=log.descriptor,
        stderr=subprocess.STDOUT,
        pass_fds=(lock_descriptor,),
        start_new_session=True,
        umask=0o077,
        **account.identity,
    )


async def run_to_end(child: subprocess.Popen[bytes]) -> int:
    """
    The exit code of *child*, which ends by itself within seconds.

    Polled for: the event loop may be uvloop, whose own children cannot change their account. When
    we are cancelled it is waited for all the same, as a killed initdb leaves shared memory behind.
    """
    try:
        while child.poll() is None:  # noqa: ASYNC110 (no event tells of a child's end)
            await asyncio.sleep(POLL_SECONDS)
    finally:
        exit_code = child.wait()
    return exit_code
