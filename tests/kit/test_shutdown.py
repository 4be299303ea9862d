import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.kit.shutdown import end_on_hangup, notified_on_shutdown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_notifies_and_is_handled_as_before(number: signal.Signals) -> None:
    notified, handled = asyncio.Event(), asyncio.Event()
    before = signal.signal(number, lambda *_: handled.set())
    try:
        former = signal.getsignal(number)
        with notified_on_shutdown(notified.set):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(notified.wait(), 2)
            assert handled.is_set()
        assert signal.getsignal(number) is former
    finally:
        signal.signal(number, before)


async def test_in_another_thread_nothing_is_changed() -> None:
    def _run() -> object:
        async def _inside() -> object:
            with notified_on_shutdown(lambda: None):
                return signal.getsignal(signal.SIGINT)

        return asyncio.run(_inside())

    assert await asyncio.to_thread(_run) is signal.getsignal(signal.SIGINT)


_CHILD = """
import multiprocessing, os, sys, time

from app.kit.shutdown import end_with_parent


class Parent:
    '''Cannot be waited for at first, as when memory is short, and has then ended.'''

    failures = [MemoryError(), OSError(24, "too many open files")]

    def join(self):
        if self.failures:
            raise self.failures.pop()


multiprocessing.parent_process = Parent
end_with_parent()
time.sleep(60)
"""


def test_a_worker_ends_with_its_parent_although_watching_it_failed_before() -> None:
    ended = subprocess.run([sys.executable, "-c", _CHILD], check=False, timeout=50)  # noqa: S603
    assert ended.returncode == -signal.SIGTERM


@pytest.fixture
def hangup() -> Iterator[None]:
    """Puts the handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("hangup")
def test_a_hangup_does_what_sigterm_does() -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    end_on_hangup()
    signal.raise_signal(signal.SIGHUP)
    assert ended == [signal.SIGTERM]


@pytest.mark.usefixtures("hangup")
def test_a_hangup_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_on_hangup()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
