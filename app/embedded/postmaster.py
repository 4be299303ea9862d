"""The only file that starts and stops the server process."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from app.embedded.child import run_to_end, seen_from_within, spawn
from app.embedded.locks import FileLock, is_held
from app.embedded.log_file import LogFile
from app.embedded.pid_file import find_pid_file, find_recorded_pid, works_in
from app.embedded.progress import Progress
from app.embedded.site import Site
from app.embedded.sockets import make_socket_folder, remove_socket_folder
from app.errors import ConfigurationError

DEFAULT_PORT = 5432

LOCALHOST = "127.0.0.1"

#: Where the system tells about processes, if it does.
_PROCESSES = Path("/proc/self")

#: Leaves the server behind without a parent: it belongs to all its users, not to the first one,
#: and whoever it is, nobody must wait for its end or be told of it.
_DETACHED = ("/bin/sh", "-c", '"$@" &', "sh")


async def launch(site: Site, port: int | None, log: LogFile) -> None:
    """
    Start a server; whether it comes up remains to be seen. Only while none runs.

    Raises:
        ConfigurationError: somebody else runs a server on these files.
    """
    stale_pid = _find_stale_pid(site)
    make_socket_folder(site.sockets, site.account)
    lock = FileLock(site.paths.server_lock)
    try:
        lock.try_shared()
        child = spawn(
            [*_DETACHED, *_command(site, port)],
            folder=site.paths.cluster,
            account=site.account,
            log=log,
            lock_descriptor=lock.descriptor,
            # PostgreSQL takes a living process of that pid, whatever it is, for a server on its
            # files; unless it is its grandparent, which is how pg_ctl passes itself off. We know
            # better from the lock, and it still looks at the shared memory for survivors.
            environment={"PG_GRANDPARENT_PID": str(stale_pid)} if stale_pid else None,
        )
    finally:
        lock.close()
    await run_to_end(child)


async def stop(site: Site, say: Callable[[str], None]) -> None:
    """
    Have the server finish what it does, write all to its files and end; return when it has.

    Only for whoever holds the startup lock and is the last user.
    """
    progress = Progress(say)
    while is_held(site.paths.server_lock):
        _ask_to_stop(site)
        await progress.pause("PostgreSQL is stopping")
    remove_socket_folder(site.sockets, site.account)


def _ask_to_stop(site: Site) -> None:
    """Repeated until it has stopped, as it may not have written its pid yet."""
    found = find_pid_file(site.paths.cluster)
    if found and (works_in(found.pid, site.paths.cluster) or not _PROCESSES.exists()):
        os.kill(found.pid, signal.SIGINT)


def _find_stale_pid(site: Site) -> int | None:
    pid = find_recorded_pid(site.paths.cluster)
    if pid and works_in(pid, site.paths.cluster):
        raise ConfigurationError(
            f"Process {pid} runs on {site.paths.cluster}, but the service has not started it. Stop "
            "it first."
        )
    return pid


def _command(site: Site, port: int | None) -> list[str]:
    settings = {
        "listen_addresses": LOCALHOST if port else "",
        "port": str(port or DEFAULT_PORT),
        "unix_socket_directories": str(site.sockets),
        "logging_collector": "off",
        # Statements and details quote rows, and rows hold phone numbers.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    folder = seen_from_within(site.paths.cluster, site.account)
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [str(site.binaries.postgres), "-D", str(folder), *options]
