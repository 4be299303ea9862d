import asyncio
import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.embedded import Keeper
from app.errors import ConfigurationError, DatabaseUnavailable

OFTEN = 0.005
PATIENT_SECONDS = 30


class Server:
    """Fails as it is told, and has then ended once."""

    def __init__(self, *failures: BaseException) -> None:
        self._failures = list(failures)
        self.attempts = 0
        self.looks_afterwards = 0

    async def revive(self) -> bool:
        self.attempts += 1
        if self._failures:
            raise self._failures.pop(0)
        self.looks_afterwards += 1
        return self.looks_afterwards == 1


@contextmanager
def _kept(server: Server, said: list[str]) -> Iterator[threading.Event]:
    """Keep *server* while the block runs; gives what is set when the server was revived."""
    leaving, revived = threading.Event(), threading.Event()

    def _say(sentence: str) -> None:
        said.append(sentence)
        if "started again" in sentence:
            revived.set()

    keeper = Keeper(server.revive, leaving, _say, every_seconds=OFTEN)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        yield revived
    finally:
        leaving.set()
        thread.join(PATIENT_SECONDS)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.EMFILE, "too many open files"),
        OSError(errno.ENOLCK, "no locks available"),
        BlockingIOError(),
        MemoryError(),
        RuntimeError("can't start new thread"),
        DatabaseUnavailable("it ended while starting"),
        ConfigurationError("another program runs on its files"),
        asyncio.CancelledError(),
        ExceptionGroup("several", [OSError()]),
    ],
)
def test_a_failure_to_revive_the_server_is_said_once_and_not_the_last_attempt(
    failure: BaseException,
) -> None:
    server, said = Server(failure), list[str]()
    with _kept(server, said) as revived:
        assert revived.wait(PATIENT_SECONDS)
    assert len(said) == 2
    assert "tried again" in said[0]
    assert "started again" in said[1]


def test_failures_in_a_row_are_tried_ever_less_often() -> None:
    pauses: list[float | None] = []

    class _Leaving(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return len(pauses) > 2000

    async def _fail() -> bool:
        raise OSError

    Keeper(_fail, _Leaving(), lambda _: None).run()
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert set(pauses[6:]) == {30}


def test_a_keeper_whose_sentences_cannot_be_written_goes_on() -> None:
    server, leaving, revived = Server(OSError(), OSError()), threading.Event(), threading.Event()

    def _say(_: str) -> None:
        revived.set() if server.looks_afterwards else None
        raise BrokenPipeError

    thread = threading.Thread(target=Keeper(server.revive, leaving, _say, every_seconds=OFTEN).run)
    thread.start()
    assert revived.wait(PATIENT_SECONDS)
    leaving.set()
    thread.join(PATIENT_SECONDS)
    assert server.attempts >= 3


#: In a process of its own: what Python says of loops that were half made is no matter of pytest's.
_WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, signal, sys, threading
from pathlib import Path
from app.embedded import EmbeddedPostgres, Keeper
from app.embedded.process_files import find_pid_file

data_dir = Path(sys.argv[1])
embedded = EmbeddedPostgres(data_dir)
asyncio.run(embedded.acquire())
failures, revived, leaving = threading.Semaphore(0), threading.Event(), threading.Event()

def say(sentence):
    revived.set() if "started again" in sentence else failures.release()

thread = threading.Thread(target=Keeper(embedded.revive, leaving, say, every_seconds=0.005).run)
thread.start()
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
server = find_pid_file(data_dir / "postgres").pid
resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
os.kill(server, signal.SIGKILL)
for _ in range(3):
    assert failures.acquire(timeout=30)
assert not revived.is_set()
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
assert revived.wait(30)
leaving.set()
thread.join(30)
print("revived", find_pid_file(data_dir / "postgres").pid != server)
asyncio.run(embedded.release())
"""


def test_a_server_that_ended_while_no_file_could_be_opened_is_revived_afterwards(
    data_dir: Path,
) -> None:
    ended = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-c", _WITHOUT_DESCRIPTORS, str(data_dir)],
        check=False,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert ended.stdout == "revived True\n", ended.stderr
