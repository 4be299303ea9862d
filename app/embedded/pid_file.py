"""The only file that knows the layout of `postmaster.pid`."""

import os
from dataclasses import dataclass
from pathlib import Path

_NAME = "postmaster.pid"
#: pid, data directory, start time, port, socket folder, TCP address, shared memory, status.
_LINES = 8


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a postmaster wrote about itself. It may have been killed since."""

    pid: int
    port: int
    #: Empty when the server has its socket only.
    tcp_address: str
    status: str
    #: The lines that no two servers share: pid, data directory and start time.
    identity: tuple[str, ...]


def find_pid_file(cluster: Path) -> PidFile | None:
    """What the last postmaster of *cluster* wrote, if it has got that far and was not stopped."""
    try:
        return parse_pid_file(_read(cluster))
    except FileNotFoundError:
        return None


def parse_pid_file(text: str) -> PidFile | None:
    """The parts of a `postmaster.pid`, None while it is incomplete."""
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) < _LINES or not (lines[0].isdigit() and lines[3].isdigit()):
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
        first = _read(cluster).partition("\n")[0].strip().removeprefix("-")
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None


def _read(cluster: Path) -> str:
    return (cluster / _NAME).read_text(encoding="utf-8", errors="replace")


def works_in(pid: int, cluster: Path) -> bool:
    """
    Whether process *pid* lives and has *cluster* as its working directory, as a postmaster has.

    False where the system does not tell, as without `/proc`.
    """
    try:
        return os.path.samestat(Path(f"/proc/{pid}/cwd").stat(), cluster.stat())
    except OSError:
        return False
