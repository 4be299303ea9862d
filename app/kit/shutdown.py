"""The end of a process: on a signal, before its server waits for requests, or with its parent."""

import asyncio
import faulthandler
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Final

from app.kit import service_manager

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_WATCH_AGAIN_SECONDS: Final = 1.0
#: How long an end may take. Orchestrators commonly wait for 30 s before they kill.
MOST_SECONDS: Final = 30.0

_watched: list[float] = []


class Ending:
    """
    The end of this process, once it was asked for.

    On SIGTERM the process goes on for *drain_seconds*, so that load balancers notice. SIGINT, which
    comes from a keyboard, ends it at once, and so does a second signal; after a third one open
    requests are not waited for.
    """

    def __init__(self, *, drain_seconds: float = 0) -> None:
        #: Whether it was asked for.
        self.has_begun = False
        self._drain_seconds = drain_seconds
        self._drain: asyncio.TimerHandle | None = None

    def asked(self, number: int, end: Callable[[], object]) -> None:
        """Take a signal, and call *end* when it is time, in the running loop."""
        if self._drain is not None:
            self._drain.cancel()
        if self.has_begun:
            end()
            return
        self.has_begun = True
        service_manager.notify(service_manager.STOPPING)
        log.info("asked to end by signal %d; killed after %g s", number, MOST_SECONDS)
        if number == signal.SIGTERM and self._drain_seconds:
            self._drain = asyncio.get_running_loop().call_later(self._drain_seconds, end)
        else:
            end()


@contextmanager
def ending_gracefully(ending: Ending, notify: Callable[[], object]) -> Iterator[None]:
    """
    On a signal that ends the process begin *ending*; at its end call *notify*, then end as before.

    *notify* is called in the running loop, before the former handler: a server waits for its open
    requests before it shuts the application down, and code that makes a request wait has to know
    earlier. A process that has not ended `MOST_SECONDS` after the first signal is killed.

    Python delivers signals to the main thread only; in any other thread this context manager does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    ended: list[int] = []

    def _end(number: int) -> None:
        notify()
        # A server takes a second SIGINT as the wish not to wait.
        handler = former[signal.SIGINT if ended else signal.Signals(number)]
        ended.append(number)
        if callable(handler):
            handler(signal.SIGINT if len(ended) > 1 else number, None)

    def _on_signal(number: int, _frame: FrameType | None) -> None:
        end_within(MOST_SECONDS)
        loop.call_soon_threadsafe(ending.asked, number, partial(_end, number))

    for number, handler in former.items():
        if callable(handler):  # an ignored signal stays ignored, a deadly one deadly
            signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in former.items():
            if signal.getsignal(number) is _on_signal:
                signal.signal(number, handler)


def end_within(seconds: float) -> None:
    """
    Kill this process after *seconds*, if it has not ended by then.

    It says "Timeout", and what each thread did, on standard error, and ends with 1. Only the first
    call counts. It needs no Python to run, so that nothing can keep it from doing so.
    """
    if not _watched:
        _watched.append(seconds)
        faulthandler.dump_traceback_later(seconds, exit=True)


def end_on_hangup() -> None:
    """
    Let SIGHUP, which comes when a terminal is closed, do what SIGTERM does.

    A process that ignores it, as below nohup, goes on ignoring it.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _on_hangup)


def _on_hangup(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)


def end_with_parent() -> None:
    """
    End this process with SIGTERM when its parent has ended, if `multiprocessing` started it.

    A hangup, which all processes of a terminal get, ends it in the same way, and not at once.

    A worker that outlived its supervisor would keep the port from the next supervisor. In a process
    that was started otherwise, this function does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    end_on_hangup()

    def _follow() -> None:
        while True:
            try:
                parent.join()
            except Exception:
                log.exception("the parent process cannot be watched")
                time.sleep(_WATCH_AGAIN_SECONDS)
            else:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=_follow, name="parent watcher", daemon=True).start()
