"""Hearing that the process is to end, before its server has waited for all answers."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_of_the_end(tell: Callable[[], object]) -> Iterator[None]:
    """
    Call *tell* in the running loop when a signal ends the process; then as it was before.

    A server waits for the requests that it has before it tells the application of its end: who
    makes a request wait must hear of it earlier. Signals reach the main thread alone; in any other
    this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    former = {number: signal.getsignal(number) for number in _SIGNALS}

    def _on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        handler = former[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in former.items():
        if callable(handler):  # whoever ignores a signal, or dies of it, goes on to do so
            signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in former.items():
            if signal.getsignal(number) is _on_signal:
                signal.signal(number, handler)
