"""PostgreSQL's data directory: making it, and checking one that exists."""

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from app.embedded.account import ensure_password, hand_over, password_file, sync_folder
from app.embedded.child import LogFile, name_for_child, run_child
from app.embedded.site import Paths, Site, make_socket_folder
from app.errors import ConfigurationError, DatabaseUnavailable

SUPERUSER = "receiver"
MAX_CONNECTIONS = 200

_UNFINISHED = "postgres.new-"

#: PostgreSQL's documentation advises a quarter of a machine that runs nothing else.
_MEMORY_PARTS = 4
_MEGABYTE = 1024 * 1024
_MIN_BUFFERS_MEGABYTES = 128
#: This machine runs the service too.
_MAX_BUFFERS_MEGABYTES = 1024

#: The memory limit of a container: a number of bytes, or `max`.
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def shared_buffers(*, memory_limit: Path = _MEMORY_LIMIT) -> str:
    """
    A quarter of the memory, 128 MB to 1 GB, in PostgreSQL's notation.

    New messages change pages all over the indexes, which have 2.4 GB at 10 million events.
    """
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        memory_bytes = min(memory_bytes, int(memory_limit.read_text()))
    quarter = memory_bytes // _MEMORY_PARTS // _MEGABYTE
    return f"{min(max(quarter, _MIN_BUFFERS_MEGABYTES), _MAX_BUFFERS_MEGABYTES)}MB"


#: Written to `postgresql.conf`, where an operator may change them. Everything else has PostgreSQL's
#: durable defaults: fsync, full pages, synchronous commits and checksums are on.
_SETTINGS = {
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": shared_buffers(),
    # The first change of a page after a checkpoint logs the whole page. With many messages, each
    # event changes several such pages.
    "max_wal_size": "4GB",
    # Enough for a base backup, and for a standby by which to move to another server.
    "max_wal_senders": "4",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # The same order on every machine; an upgrade of its libc needs no rebuilt index.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    *(f"--set={name}={value}" for name, value in _SETTINGS.items()),
)


async def ensure_cluster(site: Site, log: LogFile) -> None:
    """
    Make the cluster if there is none. Only while no server, and no initdb, runs.

    Raises:
        ConfigurationError: the folder has other contents, or is of another major version.
        DatabaseUnavailable: initdb failed.
    """
    cluster = site.paths.cluster
    _clear_unfinished(site)
    if not cluster.exists() or not any(cluster.iterdir()):
        await _make_cluster(site, log)
    _check_version(site)
    hand_over(cluster, site.account)


async def _make_cluster(site: Site, log: LogFile) -> None:
    """Make the cluster under another name and rename it, so that it is complete when it appears."""
    password = ensure_password(site.paths.password)
    make_socket_folder(site.sockets, site.account)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=site.paths.root))
    hand_over(unfinished, site.account)
    # The one folder that the account certainly reaches, and no other account does.
    with password_file(site.sockets, password) as path:
        exit_code = await _run_initdb(site, unfinished, path, log)
    if exit_code != 0:
        shutil.rmtree(unfinished)
        raise DatabaseUnavailable(f"PostgreSQL could not make its files. {log.end()}")
    _rename_to_cluster(unfinished, site.paths)


def _rename_to_cluster(unfinished: Path, paths: Paths) -> None:
    try:
        unfinished.rename(paths.cluster)
    except OSError as error:
        raise ConfigurationError(
            f"{unfinished} cannot be renamed to {paths.cluster} ({error.strerror}). The latter "
            "must not be a symlink or a mount point; RECEIVER_DATA_DIR may be one."
        ) from error
    sync_folder(paths.root)


async def _run_initdb(site: Site, folder: Path, password_path: Path, log: LogFile) -> int:
    command: list[str | Path] = [
        site.binaries.initdb,
        f"--pgdata={name_for_child(folder, site.account)}",
        f"--pwfile={password_path}",
        *_INITDB_OPTIONS,
    ]
    return await run_child(site, command, folder=folder, log=log)


def _clear_unfinished(site: Site) -> None:
    for folder in site.paths.root.glob(f"{_UNFINISHED}*"):
        if stat.S_ISDIR(folder.lstat().st_mode):
            shutil.rmtree(folder)


def _check_version(site: Site) -> None:
    cluster = site.paths.cluster
    try:
        found = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{cluster} is neither empty nor a PostgreSQL data directory. Move it away, or set "
            "RECEIVER_DATA_DIR to another folder."
        ) from error
    if found != site.binaries.major:
        raise ConfigurationError(
            f"{cluster} was made by PostgreSQL {found}, but {site.binaries.version} is installed. "
            f"Dump it with PostgreSQL {found} and restore it into a new RECEIVER_DATA_DIR, or use "
            "pg_upgrade."
        )
