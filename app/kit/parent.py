"""Ending with the process that started this one."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """
    In a process started by `multiprocessing`: end it, by SIGTERM, when its parent is gone.

    A worker that outlived its supervisor would hold the port against the next one. Does nothing in
    a process that was started otherwise.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def _follow() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=_follow, name="watch of the parent", daemon=True).start()
