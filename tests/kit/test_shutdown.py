import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.kit import shutdown
from app.kit.shutdown import Ending, end_on_hangup, ending_gracefully

_LONG = 3600.0


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Handles SIGTERM and SIGINT as a server would; gives the signals. No watchdog is started."""
    monkeypatch.setattr(shutdown, "end_within", lambda _: None)
    handled: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {
        number: signal.signal(number, lambda number, _: handled.append(number))
        for number in numbers
    }
    yield handled
    for number, handler in before.items():
        signal.signal(number, handler)


async def _signalled(number: signal.Signals) -> None:
    signal.raise_signal(number)
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_notifies_and_is_handled_as_before(
    number: signal.Signals, handled: list[int]
) -> None:
    notified, ending = asyncio.Event(), Ending()
    former = signal.getsignal(number)
    with ending_gracefully(ending, notified.set):
        await _signalled(number)
        assert notified.is_set()
        assert ending.has_begun
        assert handled == [number]
    assert signal.getsignal(number) is former


async def test_sigterm_drains_before_it_is_handled(handled: list[int]) -> None:
    notified, ending = asyncio.Event(), Ending(drain_seconds=0.01)
    with ending_gracefully(ending, notified.set):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        assert ending.has_begun
        assert not handled
        await asyncio.wait_for(notified.wait(), 10)
        assert handled == [signal.SIGTERM]


async def test_a_second_sigterm_ends_the_drain_and_a_third_waits_for_nothing(
    handled: list[int],
) -> None:
    with ending_gracefully(Ending(drain_seconds=_LONG), lambda: None):
        await _signalled(signal.SIGTERM)
        assert not handled
        await _signalled(signal.SIGTERM)
        assert handled == [signal.SIGTERM]
        await _signalled(signal.SIGTERM)
        assert len(handled) == 2


async def test_a_keyboard_does_not_wait_for_load_balancers(handled: list[int]) -> None:
    with ending_gracefully(Ending(drain_seconds=_LONG), lambda: None):
        await _signalled(signal.SIGINT)
        assert handled == [signal.SIGINT]


_STUCK = """
import ctypes

from app.kit.shutdown import end_within

end_within(0.2)
end_within(3600)
ctypes.PyDLL(None).sleep(60)  # keeps the interpreter's lock
"""


def test_a_process_that_is_stuck_is_killed_and_says_where_it_was() -> None:
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _STUCK], check=False, timeout=50, capture_output=True
    )
    assert ended.returncode == 1
    assert b"Timeout" in ended.stderr
    assert b'File "<string>", line 8' in ended.stderr


async def test_in_another_thread_nothing_is_changed() -> None:
    def _run() -> object:
        async def _inside() -> object:
            with ending_gracefully(Ending(), lambda: None):
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
