"""Child processes of PostgreSQL: running them, and the log of their output."""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.embedded.account import Account, open_private
from app.embedded.process_files import POLL_SECONDS, FileLock
from app.embedded.site import Site

#: Checked when the server starts. The log of a quiet server grows by about 100 kB a day.
MAX_LOG_BYTES = 10_000_000

_QUOTED_LINES = 15
_QUOTED_BYTES = 4_000

#: Nothing of our own environment: it may hold secrets, and PostgreSQL would obey PGPORT or PGDATA.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}

#: A name for a working directory that the child entered before it changed its account.
_WORKING_DIRECTORY = Path("/proc/self/cwd")


class LogFile:
    """PostgreSQL's log. Only lines that were written after this object was made are quoted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.old"))
        self.descriptor = open_private(path, os.O_WRONLY | os.O_APPEND)
        self._beginning_bytes = os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Close our descriptor; processes that inherited it keep theirs."""
        os.close(self.descriptor)

    def end(self) -> str:
        """The file's name and the last lines since the beginning, each on a line of its own."""
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._beginning_bytes, size - _QUOTED_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join((f"The end of {self._path}:", *lines[-_QUOTED_LINES:]))


def name_for_child(folder: Path, account: Account) -> Path:
    """
    The name of *folder* for a child that works in it.

    It is the path, unless the account cannot pass a folder above it. The modes of those folders
    are not changed; the kernel lets every process through the link to its working directory.
    """
    return folder if account.reaches(folder, "rwx") else _WORKING_DIRECTORY


async def run_child(
    site: Site,
    command: Sequence[str | Path],
    *,
    folder: Path,
    log: LogFile,
    environment: Mapping[str, str] | None = None,
) -> int:
    """
    Run a child in *folder*, under the account of *site*; return its exit code.

    The child and its own children hold the server lock for as long as they live. The child has a
    session of its own, so that Ctrl-C in the terminal ends this process and not the database.

    It ends by itself within seconds. It is polled, because uvloop cannot change the account of
    children of its own. A cancelled caller waits for the end all the same: a killed initdb leaves
    shared memory behind.
    """
    lock = FileLock(site.paths.server_lock)
    try:
        # Another user that looks whether the server runs has the lock for an instant. A server
        # without it would be taken for one that has ended.
        while not lock.try_shared():  # noqa: ASYNC110 (no event announces its release)
            await asyncio.sleep(POLL_SECONDS)
        child = subprocess.Popen(  # noqa: ASYNC220, S603 (see above; our own binaries)
            command,
            cwd=folder,
            env={**_ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log.descriptor,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.descriptor,),
            start_new_session=True,
            umask=0o077,
            **site.account.identity,
        )
    finally:
        lock.close()
    try:
        while child.poll() is None:  # noqa: ASYNC110 (no event announces the end of a child)
            await asyncio.sleep(POLL_SECONDS)
    finally:
        exit_code = child.wait()
    return exit_code
