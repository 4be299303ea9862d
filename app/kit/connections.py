"""How many connections a process keeps open at once."""

import resource
import time
from heapq import nsmallest
from operator import attrgetter
from typing import Final, Protocol

#: Files, listening sockets and connections to the database, of one process.
RESERVED_DESCRIPTORS: Final = 256
#: An idle connection takes about 3 kB.
MOST_CONNECTIONS: Final = 50_000
_SEARCH_AGAIN_SECONDS: Final = 0.1


def raise_descriptor_limit() -> int:
    """Raise the limit of open descriptors as far as it may be, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # some systems refuse an unlimited number
            return soft
        soft = hard
    return MOST_CONNECTIONS * 2 if soft == resource.RLIM_INFINITY else soft


def most_connections(descriptors: int) -> int:
    """How many connections a process with so many *descriptors* may keep."""
    return min(MOST_CONNECTIONS, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2))


class Connection(Protocol):
    """A connection that can be closed at once."""

    #: When it was opened, or its last request was answered.
    rested_at: float

    @property
    def is_idle(self) -> bool:
        """Whether no request of it waits for its answer."""

    def abort(self) -> None:
        """Close it without sending what is buffered."""


class ConnectionLimit:
    """
    Keeps at most *most* connections; beyond, those that have been idle longest are closed.

    So a flood of silent connections displaces itself, not the clients that post: these are idle
    only between an answer and their next request.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: set[Connection] = set()
        self._next_search_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the next connection displaces another one."""
        return len(self._open) >= self.most

    def opened(self, connection: Connection) -> bool:
        """Note a new connection; False if there is no room for it."""
        if self.is_full:
            self._make_room()
        if self.is_full:
            return False
        self._open.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def _make_room(self) -> None:
        """
        Close idle connections, some at once: the search visits all, which takes milliseconds.

        It is not repeated at once if it found none. Noting with each request which connection is
        idle would cost every callback.
        """
        now = time.monotonic()
        if now < self._next_search_at:
            return
        idle = [connection for connection in self._open if connection.is_idle]
        if not idle:
            self._next_search_at = now + _SEARCH_AGAIN_SECONDS
        for connection in nsmallest(1 + self.most // 200, idle, key=attrgetter("rested_at")):
            self.closed(connection)
            connection.abort()
