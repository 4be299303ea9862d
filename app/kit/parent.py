"""Ending a worker process together with the process that started it."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """
    End this process with SIGTERM when its parent has ended, if `multiprocessing` started it.

    A worker that outlived its supervisor would keep the port from the next supervisor. In a process
    that was started otherwise, this function does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def _follow() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=_follow, name="parent watcher", daemon=True).start()
