"""How many connections a process keeps open at once."""

import resource
from typing import Final, Protocol

#: Files, listening sockets and connections to the database, of one process.
RESERVED_DESCRIPTORS: Final = 256
#: An idle connection takes about 3 kB.
MOST_CONNECTIONS: Final = 50_000


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


class Closable(Protocol):
    """A connection that can be closed at once."""

    def abort(self) -> None:
        """Close it without sending what is buffered."""


class ConnectionLimit:
    """
    Keeps at most *most* connections; beyond, the one that has been idle longest is closed.

    So a flood of silent connections displaces itself, not the clients that post: these are idle
    only between an answer and their next request.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        #: In the order in which they became idle.
        self._idle: dict[Closable, None] = {}
        self._open: set[Closable] = set()

    @property
    def is_full(self) -> bool:
        """Whether the next connection displaces another one."""
        return len(self._open) >= self.most

    def opened(self, connection: Closable) -> bool:
        """Note a new connection, idle as yet; False if there is no room for it."""
        if self.is_full:
            longest_idle = next(iter(self._idle), None)
            if longest_idle is None:
                return False
            self.closed(longest_idle)
            longest_idle.abort()
        self._open.add(connection)
        self._idle[connection] = None
        return True

    def closed(self, connection: Closable) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def busy(self, connection: Closable) -> None:
        """Note that a request has begun."""
        self._idle.pop(connection, None)

    def idle(self, connection: Closable) -> None:
        """Note that all requests are answered."""
        if connection in self._open:
            self._idle[connection] = None
