"""The only file that makes PostgreSQL's data directory, and judges one that is there."""

import shutil
import stat
import tempfile
from pathlib import Path

from app.embedded.account import hand_over
from app.embedded.child import run_to_end, seen_from_within, spawn
from app.embedded.locks import FileLock
from app.embedded.log_file import LogFile
from app.embedded.memory import shared_buffers
from app.embedded.password import make_password, password_file, sync_folder
from app.embedded.paths import Paths
from app.embedded.site import Site
from app.embedded.sockets import make_socket_folder
from app.errors import ConfigurationError, DatabaseUnavailable

SUPERUSER = "receiver"

_UNFINISHED = "postgres.new-"

#: Written to `postgresql.conf`, where an operator may change them. All else is PostgreSQL's own
#: default, durable: fsync, full pages, synchronous commits and checksums are on.
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": shared_buffers(),
    # After a checkpoint each page is logged whole once: with many messages several for each event.
    "max_wal_size": "4GB",
    # Enough for a base backup, and a standby to move to a server of one's own.
    "max_wal_senders": "4",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # The same order on every machine, and no index to rebuild after an upgrade of its libc.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    *(f"--set={name}={value}" for name, value in _SETTINGS.items()),
)


async def ensure_cluster(site: Site, log: LogFile) -> None:
    """
    Make the cluster if there is none. Only while no server, and no initdb, runs.

    Raises:
        ConfigurationError: something else is in its place, or it is of another major version.
        DatabaseUnavailable: initdb failed.
    """
    cluster = site.paths.cluster
    _clear_unfinished(site)
    if not cluster.exists() or not any(cluster.iterdir()):
        await _make_cluster(site, log)
    _check_version(site)
    hand_over(cluster, site.account)


async def _make_cluster(site: Site, log: LogFile) -> None:
    """Make it beside its place and move it there, so that a cluster in its place is complete."""
    password = make_password(site.paths)
    make_socket_folder(site.sockets, site.account)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=site.paths.root))
    hand_over(unfinished, site.account)
    # The one folder that the account is sure to reach, and nobody else.
    with password_file(site.sockets, password) as path:
        exit_code = await _run_initdb(site, unfinished, path, log)
    if exit_code != 0:
        shutil.rmtree(unfinished)
        raise DatabaseUnavailable(f"PostgreSQL could not make its files. {log.end()}")
    _move_to_its_place(unfinished, site.paths)


def _move_to_its_place(unfinished: Path, paths: Paths) -> None:
    try:
        unfinished.rename(paths.cluster)
    except OSError as error:
        raise ConfigurationError(
            f"{unfinished} cannot be renamed {paths.cluster} ({error.strerror}). The latter must "
            "not be a symlink or a mount point; RECEIVER_DATA_DIR may be one."
        ) from error
    sync_folder(paths.root)


async def _run_initdb(site: Site, folder: Path, password_path: Path, log: LogFile) -> int:
    command: list[str | Path] = [
        site.binaries.initdb,
        f"--pgdata={seen_from_within(folder, site.account)}",
        f"--pwfile={password_path}",
        *_INITDB_OPTIONS,
    ]
    lock = FileLock(site.paths.server_lock)
    try:
        lock.try_shared()
        child = spawn(
            command,
            folder=folder,
            account=site.account,
            log=log,
            lock_descriptor=lock.descriptor,
        )
    finally:
        lock.close()
    return await run_to_end(child)


def _clear_unfinished(site: Site) -> None:
    for left in site.paths.root.glob(f"{_UNFINISHED}*"):
        if stat.S_ISDIR(left.lstat().st_mode):
            shutil.rmtree(left)


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
