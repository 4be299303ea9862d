"""How much of the machine's memory PostgreSQL gets."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

#: A quarter is PostgreSQL's own advice for a server of its own; this one shares the machine.
_PARTS: Final = 4
_MEGABYTE: Final = 1024 * 1024
LEAST_MEGABYTES: Final = 128
MOST_MEGABYTES: Final = 1024

#: What a container may have: a number, or `max`.
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def shared_buffers(*, limit: Path = _LIMIT) -> str:
    """
    A quarter of what there is, 128 MB to 1 GB, as PostgreSQL spells it.

    New messages change pages all over the indexes: of 10 million events these take 2.4 GB.
    """
    quarter = _bytes(limit) // _PARTS // _MEGABYTE
    return f"{min(max(quarter, LEAST_MEGABYTES), MOST_MEGABYTES)}MB"


def _bytes(limit: Path) -> int:
    """Of the machine, or what the container may have of it."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        found = min(found, int(limit.read_text()))
    return found
