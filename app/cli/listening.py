"""How the HTTP server listens."""

import asyncio
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Final, cast

from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from app.api.callback_protocol import CallbackProtocol
from app.api.http_protocol import HttpProtocol
from app.cli.running import say
from app.kit import service_manager
from app.kit.connections import ConnectionLimit, most_connections, raise_descriptor_limit
from app.kit.shutdown import MOST_SECONDS, end_within
from app.settings import Settings

#: Each tick of the event loop, uvloop accepts one connection from each listening socket. When very
#: many clients connect at once to a busy process, the last of them would wait for seconds: with one
#: socket, 0.2 % of 8192 connections at twice the load waited for 4 s.
CONNECTIONS_PER_TICK: Final = 16
#: How many connections may wait for that. The limit of the system (`net.core.somaxconn`) holds too.
BACKLOG: Final = 4096
#: As uvicorn itself ends.
_STARTUP_FAILURE: Final = 3
#: By so much the supervisor waits longer than its workers may take.
_LATER_SECONDS: Final = 2.0
_JOIN_SECONDS: Final = 0.1
#: One that has not started yet may be importing, and is asked again.
_WORKER_ANSWERS_SECONDS: Final = 1.0


class _Server(Server):
    """Tells the service manager when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            service_manager.notify(service_manager.READY)


class _Supervisor(Multiprocess):
    """
    Tells the service manager of its workers: ready when all are, alive while all are.

    Ends on SIGHUP as on SIGTERM, as a single process does.

    Uvicorn's own starts all workers anew, which changes nothing here: their settings are those of
    the supervisor's environment. And when a terminal is closed, all processes get the signal.
    """

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        hangup = signal.getsignal(signal.SIGHUP)
        super().__init__(config, sockets)
        self._relay = service_manager.Relay()
        self._is_ready = False
        if hangup is signal.SIG_IGN:  # below nohup
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended, and notify the service manager for all."""
        super().keep_subprocess_alive()
        if not self._is_ready:
            self._is_ready = all(
                process.is_ready(_WORKER_ANSWERS_SECONDS) for process in self.processes
            )
            if self._is_ready:
                self._relay.notify(service_manager.READY)
        self._relay.pass_on(process.pid for process in self.processes)

    def terminate_all(self) -> None:
        """Ask all workers to end."""
        self._relay.notify(service_manager.STOPPING)
        super().terminate_all()

    def handle_term(self) -> None:
        """End all workers; one that is stuck is killed by its own watchdog, and this by its own."""
        end_within(MOST_SECONDS + _LATER_SECONDS)
        super().handle_term()

    def join_all(self) -> None:
        """Wait for all workers; a further signal is passed on to them, so that they hurry."""
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue:
                self.signal_queue.clear()
                self.terminate_all()
            time.sleep(_JOIN_SECONDS)
        super().join_all()
        self._relay.close()

    def handle_hup(self) -> None:
        """End all workers, each when it has answered what it has."""
        self.handle_term()


def http_protocol(settings: Settings) -> type[asyncio.Protocol]:
    """What makes the protocol of a connection under *settings*; each worker gets a copy of it."""
    protocol = CallbackProtocol if settings.fast_protocol else HttpProtocol
    limit = ConnectionLimit(most_connections(raise_descriptor_limit()))
    # uvicorn only calls it.
    return cast("type[asyncio.Protocol]", partial(protocol, limit=limit))


def other_socket(what: str, host: str, port: int) -> socket.socket:
    """
    The socket for *what* has a port of its own, listening.

    Raises:
        SystemExit: the port is not available.
    """
    say(f"{what} on http://{host}:{port}")
    return Config("app.main:create_app", host=host, port=port, log_config=None).bind_socket()


def listen(config: Config, *others: socket.socket) -> None:
    """
    Serve until a signal ends the process, at *others* of its listening sockets as well.

    Raises:
        SystemExit: the port is not available, or the application does not start.
    """
    first = config.bind_socket()
    sockets = [first, *(first.dup() for _ in range(CONNECTIONS_PER_TICK - 1)), *others]
    if config.workers > 1:
        _Supervisor(config, sockets).run()
        return
    server = _Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(_STARTUP_FAILURE)
