"""How processes know of each other and wait: lock files by `flock`, and `postmaster.pid`."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import open_private
from app.errors import ConfigurationError

#: Shorter than a person notices, longer than a load for a server that is starting.
POLL_SECONDS = 0.05
_FIRST_REPORT_SECONDS = 2.0
_REPORT_EVERY_SECONDS = 5.0

_PID_FILE = "postmaster.pid"
#: pid, data directory, start time, port, socket folder, TCP address, shared memory, status.
_PID_FILE_LINES = 8


class WaitReporter:
    """Reports one wait after two seconds and then every five, with its duration so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._started = time.monotonic()
        self._due_seconds = _FIRST_REPORT_SECONDS

    @property
    def elapsed_seconds(self) -> float:
        """How long this wait has lasted."""
        return time.monotonic() - self._started

    async def pause(self, reason: str) -> None:
        """Wait a moment, and report *reason* if a report is due."""
        elapsed = self.elapsed_seconds
        if elapsed >= self._due_seconds:
            self._say(f"{reason} ({elapsed:.0f} s)")
            self._due_seconds = elapsed + _REPORT_EVERY_SECONDS
        await asyncio.sleep(POLL_SECONDS)


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
        """Take or keep the lock together with others, unless a process has it exclusively."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock exclusively. A failure may also lose a shared lock that was held before."""
        return self._try(fcntl.LOCK_EX)

    def close(self) -> None:
        """Release the lock, unless a child process has inherited it."""
        os.close(self.descriptor)

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self.descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@asynccontextmanager
async def locked_exclusively(path: Path, reporter: WaitReporter) -> AsyncIterator[None]:
    """
    Hold *path* exclusively.

    The lock is polled: a thread that blocks on it could not be cancelled, and would take the lock
    for a caller that has stopped waiting.
    """
    lock = FileLock(path)
    try:
        while not lock.try_exclusive():
            await reporter.pause("Another process is starting or stopping PostgreSQL")
        yield
    finally:
        lock.close()


def is_held(path: Path) -> bool:
    """Whether any living process holds *path*. Only for a holder of the startup lock."""
    lock = FileLock(path)
    try:
        return not lock.try_exclusive()
    finally:
        lock.close()


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a postmaster wrote about itself. The postmaster may have been killed since."""

    pid: int
    port: int
    #: Empty when the server has its socket only.
    tcp_address: str
    status: str
    #: The lines that no two servers share: pid, data directory and start time.
    identity: tuple[str, ...]


def find_pid_file(cluster: Path) -> PidFile | None:
    """The pid file of *cluster*; None while it is incomplete, and after a clean stop."""
    try:
        return parse_pid_file(_read_pid_file(cluster))
    except FileNotFoundError:
        return None


def parse_pid_file(text: str) -> PidFile | None:
    """The parts of a `postmaster.pid`, None while it is incomplete."""
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) < _PID_FILE_LINES or not (lines[0].isdigit() and lines[3].isdigit()):
        return None
    return PidFile(
        pid=int(lines[0]),
        port=int(lines[3]),
        tcp_address=lines[5],
        status=lines[7],
        identity=tuple(lines[:3]),
    )


def find_recorded_pid(cluster: Path) -> int | None:
    """
    The pid in a `postmaster.pid` that may otherwise be incomplete.

    A server in single-user mode writes its pid with a minus sign.
    """
    try:
        first = _read_pid_file(cluster).partition("\n")[0].strip().removeprefix("-")
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None


def _read_pid_file(cluster: Path) -> str:
    return (cluster / _PID_FILE).read_text(encoding="utf-8", errors="replace")


def works_in(pid: int, cluster: Path) -> bool:
    """
    Whether process *pid* lives and has *cluster* as its working directory, as a postmaster has.

    False on a system without `/proc`.
    """
    try:
        return os.path.samestat(Path(f"/proc/{pid}/cwd").stat(), cluster.stat())
    except OSError:
        return False
