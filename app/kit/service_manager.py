"""
Notifies a service manager such as systemd that the process is ready, alive, or ending.

The protocol is sd_notify's: datagrams to the Unix socket that NOTIFY_SOCKET names. Without it,
nothing is sent.
"""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

_SOCKET: Final = "NOTIFY_SOCKET"
_INTERVAL: Final = "WATCHDOG_USEC"
_PINGS_PER_INTERVAL: Final = 3
_MICROSECONDS: Final = 1_000_000
_DATAGRAM_BYTES: Final = 4096


def notify(*states: str, manager: str | None = None) -> None:
    """Send *states* to the socket *manager*, else to NOTIFY_SOCKET; errors are ignored."""
    path = manager or os.environ.get(_SOCKET, "")
    if not path.startswith(("/", "@")):
        return
    # An abstract socket's name begins with NUL.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # noqa: FBT003 (its only argument)
        sender.sendto("\n".join(states).encode(), address)


@asynccontextmanager
async def keeping_alive() -> AsyncIterator[None]:
    """Send keep-alives from the event loop while the block runs, if the manager has a watchdog."""
    pinging = asyncio.create_task(_ping(seconds)) if (seconds := _ping_seconds()) else None
    try:
        yield
    finally:
        if pinging is not None:
            pinging.cancel()


class Relay:
    """
    Notifies the manager on behalf of several worker processes.

    The manager accepts the main process alone, and one worker's keep-alive must not cover for
    another that is stuck. Made before the workers start, it receives their notifications: they
    inherit its socket by their environment.
    """

    def __init__(self) -> None:
        self._alive: set[int] = set()
        self._receiver: socket.socket | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._manager = os.environ.get(_SOCKET)
        if self._manager and _ping_seconds():
            self._folder = tempfile.TemporaryDirectory(prefix="receiver-notify-")
            path = Path(self._folder.name) / "socket"
            self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._receiver.bind(str(path))
            self._receiver.setblocking(False)  # noqa: FBT003 (its only argument)
            # Its workers inherit it; WATCHDOG_PID, which names this process, does not hold there.
            os.environ[_SOCKET] = str(path)
            os.environ.pop("WATCHDOG_PID", None)
        elif self._manager:
            os.environ.pop(_SOCKET)

    def notify(self, *states: str) -> None:
        """Send *states* to the manager."""
        if self._manager:
            notify(*states, manager=self._manager)

    def pass_on(self, pids: Iterable[int | None]) -> None:
        """Send a keep-alive once each process of *pids* has sent one since the last time."""
        if self._receiver is None:
            return
        with suppress(BlockingIOError):
            while True:
                self._alive |= _senders_of(self._receiver.recv(_DATAGRAM_BYTES))
        if self._alive.issuperset(pids):
            self._alive.clear()
            self.notify(ALIVE)

    def close(self) -> None:
        """Remove its socket."""
        if self._receiver is not None and self._folder is not None:
            self._receiver.close()
            self._folder.cleanup()


def _ping_seconds() -> float | None:
    """The interval between keep-alives; None without a watchdog."""
    interval, pid = os.environ.get(_INTERVAL, ""), os.environ.get("WATCHDOG_PID", "")
    if _SOCKET not in os.environ or not interval.isdecimal() or pid not in {"", str(os.getpid())}:
        return None
    return int(interval) / _MICROSECONDS / _PINGS_PER_INTERVAL or None


async def _ping(seconds: float) -> None:
    while True:
        # Variables whose names begin with X_ are free for such uses.
        notify(ALIVE, f"X_PID={os.getpid()}")
        await asyncio.sleep(seconds)


def _senders_of(datagram: bytes) -> set[int]:
    lines = datagram.decode(errors="replace").split("\n")
    if ALIVE not in lines:
        return set()
    numbers = (line.partition("=")[2] for line in lines if line.startswith("X_PID="))
    return {int(number) for number in numbers if number.isdecimal()}
