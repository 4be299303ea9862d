"""What processes have used, as /proc shows it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """CPU seconds up to some instant."""

    service: float
    postgres: float

    def since(self, earlier: "Cost") -> "Cost":
        """What was spent since *earlier*."""
        return Cost(self.service - earlier.service, self.postgres - earlier.postgres)


class Memory(NamedTuple):
    """Resident megabytes of one process."""

    now: float
    peak: float


def cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    """User and system time; 0 once it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    times = stat.rpartition(")")[2].split()[11:15]
    return sum(map(int, times[: 4 if with_ended_children else 2])) / _TICKS_PER_SECOND


def cpu_seconds_of(pids: Iterable[int]) -> float:
    """Of all of them together."""
    return sum(map(cpu_seconds, pids))


def memory_of(pid: int) -> Memory:
    """What is resident, and the most that ever was."""
    status = Path(f"/proc/{pid}/status").read_text()
    return Memory(_megabytes(status, "VmRSS"), _megabytes(status, "VmHWM"))


def _megabytes(status: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, status
    return int(found[1]) / 1024
