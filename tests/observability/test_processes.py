"""Several processes that count together, as the workers of `serve` do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Counts what a line says, and answers each with the exposition's size and text.
_WORKER = """
import sys
from app.observability.metrics import Metrics
from app.observability.processes import find_place
metrics = Metrics(find_place())
waiting = 0
metrics.sample_by(metrics.pending_items, lambda: waiting)
for line in sys.stdin:
    if line.startswith("count"):
        stored = metrics.callbacks.labels("status", "stored")
        metrics.note_answers([(stored, 0.01)] * int(line.split()[1]))
    if line.startswith("wait"):
        waiting = int(line.split()[1])
    text = metrics.exposition().decode()
    print(len(text.splitlines()))
    print(text, end="", flush=True)
"""


class Worker:
    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PROMETHEUS_MULTIPROC_DIR": str(directory), "PYTHONPATH": ":".join(sys.path)},
        )

    def told(self, line: str) -> dict[str, float]:
        """The samples that it shows after *line*."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        lines = [
            self._process.stdout.readline() for _ in range(int(self._process.stdout.readline()))
        ]
        pairs = (each.rsplit(maxsplit=1) for each in lines if not each.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def die(self) -> None:
        self._process.kill()
        self._process.communicate()


STORED = 'receiver_callbacks_total{kind="status",result="stored"}'
WAITING = "receiver_pending_items"


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Worker]]:
    workers = [Worker(tmp_path), Worker(tmp_path)]
    yield workers
    for worker in workers:
        worker.die()


def test_each_process_shows_the_sums_of_all_whatever_becomes_of_one(
    workers: list[Worker], tmp_path: Path
) -> None:
    first, second = workers
    first.told("count 3")
    first.told("wait 5")
    second.told("wait 2")
    shown = second.told("count 4")
    assert shown[STORED] == 7
    assert shown["receiver_answer_seconds_count"] == 7
    assert shown[WAITING] == 7
    assert 'process_resident_memory_bytes{worker="0"}' in shown
    assert 'process_resident_memory_bytes{worker="1"}' in shown

    first.die()
    shown = second.told("show")
    assert shown[STORED] == 7, "counts of the dead are kept"
    assert shown[WAITING] == 2, "what the dead measured is not shown"

    workers.append(Worker(tmp_path))
    shown = workers[-1].told("count 10")
    assert shown[STORED] == 17, "who takes the place counts on"
    assert shown[WAITING] == 2
    assert len(list(tmp_path.glob("counter_*.db"))) == 2, "dead processes leave no files behind"
