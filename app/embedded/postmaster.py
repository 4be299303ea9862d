"""Starting and stopping the server process."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from app.embedded.child import LogFile, name_for_child, run_child
from app.embedded.process_files import (
    WaitReporter,
    find_pid_file,
    find_recorded_pid,
    is_held,
    works_in,
)
from app.embedded.site import Site, make_socket_folder, remove_socket_folder
from app.errors import ConfigurationError

LOCALHOST = "127.0.0.1"

_DEFAULT_PORT = 5432

#: Exists on a system that gives information about its processes.
_PROC = Path("/proc/self")

#: The shell ends at once and leaves the server without a parent. The server belongs to all its
#: users, so that the first one must not have to wait for its end.
_DETACHED = ("/bin/sh", "-c", '"$@" &', "sh")


async def start_server(site: Site, port: int | None, log: LogFile) -> None:
    """
    Start a server, without waiting until it answers. Only while none runs.

    Raises:
        ConfigurationError: another program runs a server on these files.
    """
    stale_pid = _find_stale_pid(site)
    make_socket_folder(site.sockets, site.account)
    await run_child(
        site,
        [*_DETACHED, *_command(site, port)],
        folder=site.paths.cluster,
        log=log,
        # PostgreSQL takes any living process of that pid for a server on its files, except for its
        # grandparent, which is how pg_ctl passes. The lock proves that no server runs, and
        # PostgreSQL still checks the shared memory for survivors.
        environment={"PG_GRANDPARENT_PID": str(stale_pid)} if stale_pid else None,
    )


async def stop_server(site: Site, say: Callable[[str], None]) -> None:
    """
    Have the server finish its work, write everything to its files and end; return when it has.

    Only for a holder of the startup lock that is the last user.
    """
    reporter = WaitReporter(say)
    while is_held(site.paths.server_lock):
        # Repeated, because the server may not have written its pid yet.
        _ask_to_stop(site)
        await reporter.pause("PostgreSQL is stopping")
    remove_socket_folder(site.sockets, site.account)


def _ask_to_stop(site: Site) -> None:
    found = find_pid_file(site.paths.cluster)
    if found and (works_in(found.pid, site.paths.cluster) or not _PROC.exists()):
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
        "port": str(port or _DEFAULT_PORT),
        "unix_socket_directories": str(site.sockets),
        "logging_collector": "off",
        # Statements and details quote rows, and rows hold phone numbers.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    folder = name_for_child(site.paths.cluster, site.account)
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [str(site.binaries.postgres), "-D", str(folder), *options]
