"""The end of a process: on a signal, before its server waits for requests, or with its parent."""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_WATCH_AGAIN_SECONDS: Final = 1.0


@contextmanager
def notified_on_shutdown(notify: Callable[[], object]) -> Iterator[None]:
    """
    Call *notify* in the running loop when a signal ends the process, then the former handler.

    A server waits for its open requests before it shuts the application down. Code that makes a
    request wait has to learn of the shutdown earlier. Python delivers signals to the main thread
    only; in any other thread this context manager does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    former = {number: signal.getsignal(number) for number in _SIGNALS}

    def _on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(notify)
        handler = former[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in former.items():
        if callable(handler):  # an ignored signal stays ignored, a deadly one deadly
            signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in former.items():
            if signal.getsignal(number) is _on_signal:
                signal.signal(number, handler)


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
