"""The only file that knows how processes exclude each other: by `flock`, freed by the kernel."""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.embedded.paths import open_private
from app.embedded.progress import Progress
from app.errors import ConfigurationError


class FileLock:
    """One open lock file. Two of the same path exclude each other, even within one process."""

    def __init__(self, path: Path) -> None:
        try:
            self.descriptor = open_private(path, os.O_RDWR)
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be opened ({error.strerror}). RECEIVER_DATA_DIR must belong to "
                "the account that runs the service."
            ) from error

    def try_shared(self) -> bool:
        """Take or keep the lock together with others, unless someone has it alone."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock alone. On failure a shared lock held before may be lost as well."""
        return self._try(fcntl.LOCK_EX)

    def close(self) -> None:
        """Give the lock back, unless a child process has inherited it."""
        os.close(self.descriptor)

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self.descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@asynccontextmanager
async def alone(path: Path, progress: Progress) -> AsyncIterator[None]:
    """
    Hold *path* exclusively.

    It is polled for: a thread that blocks on it could not be cancelled, and would take the lock
    when nobody wants it any more.
    """
    lock = FileLock(path)
    try:
        while not lock.try_exclusive():
            await progress.pause("Another process is starting or stopping PostgreSQL")
        yield
    finally:
        lock.close()


def is_held(path: Path) -> bool:
    """Whether any living process holds *path*. Ask only while holding the startup lock."""
    lock = FileLock(path)
    try:
        return not lock.try_exclusive()
    finally:
        lock.close()
