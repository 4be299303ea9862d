"""
One exposition for all processes of `serve --workers`: each counts in files that the others read.

The files belong to a place, and a process takes the first free one: it holds a lock on it, which
the system releases however the process ends. Who replaces a dead process takes its place, counts on
where it ended, and begins with gauges of its own.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client import ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

#: Names the directory of the files, for prometheus_client too. Without it, a process counts alone.
_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def counted_together(workers: int) -> Iterator[None]:
    """Let the processes that are started in the block count together, if they are several."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="routee-receiver-metrics-") as directory:
        os.environ[_VARIABLE] = directory
        try:
            yield
        finally:
            del os.environ[_VARIABLE]


class Place:
    """Where this process counts among the others; there is one as long as the process lives."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for number in count():
            lock = os.open(self._lock_of(number), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            break
        for stale in directory.glob(f"gauge_*_{number}.db"):
            stale.unlink()
        values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]

    def families(self) -> Iterator[Metric]:
        """The metrics of all processes together, and those of each living process itself."""
        living = {number: pid for number, pid in self._processes() if pid}
        files = [
            str(file)
            for file in self._directory.glob("*.db")
            if not file.name.startswith("gauge_") or int(file.stem.rpartition("_")[2]) in living
        ]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        yield from _of_processes(living)

    def _processes(self) -> Iterator[tuple[int, str]]:
        """The number of each place, with the id of the process that has it, '' if that is dead."""
        for path in self._directory.glob("*.lock"):
            lock = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield int(path.stem), os.pread(lock, 20, 0).decode()
            else:
                yield int(path.stem), ""
            finally:
                os.close(lock)

    def _lock_of(self, number: int) -> Path:
        return self._directory / f"{number}.lock"


def find_place() -> Place | None:
    """A place for this process, to be taken before it has metrics; None if it counts alone."""
    directory = os.environ.get(_VARIABLE)
    return Place(Path(directory)) if directory else None


def _of_processes(living: dict[int, str]) -> Iterator[Metric]:
    """`process_*` of each of the *living*, with a label for its place."""
    families: dict[str, Metric] = {}
    for number, pid in sorted(living.items()):
        with suppress(OSError):  # it has just ended
            for family in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                known = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    known.add_sample(sample.name, {"worker": str(number)}, sample.value)
    yield from families.values()
