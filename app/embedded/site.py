"""Where the files of one embedded server lie: data directory, binaries and socket folder."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import Account, choose_account
from app.embedded.binaries import Binaries, find_binaries, reachable_binaries
from app.errors import ConfigurationError

#: The first one is the same for every process; the second one follows TMPDIR.
_SOCKET_PARENTS = (Path("/tmp"), Path(tempfile.gettempdir()))  # noqa: S108 (the folder itself is 0700)


@dataclass(frozen=True, slots=True)
class Paths:
    """The files in the data directory; *root* is absolute and free of symlinks."""

    root: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory. Unless it is empty, it is complete."""
        return self.root / "postgres"

    @property
    def password(self) -> Path:
        """The superuser's password, one line."""
        return self.root / "postgres.password"

    @property
    def log(self) -> Path:
        """The output of initdb and of the server."""
        return self.root / "postgres.log"

    @property
    def startup_lock(self) -> Path:
        """Held exclusively by a process that starts, joins or stops the server."""
        return self.root / "postgres.startup.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by every user of the server."""
        return self.root / "postgres.users.lock"

    @property
    def server_lock(self) -> Path:
        """Shared by every living process of the server, and by initdb."""
        return self.root / "postgres.server.lock"


@dataclass(frozen=True, slots=True)
class Site:
    """One server: its files, the account and the binaries that run it, and its socket folder."""

    paths: Paths
    account: Account
    binaries: Binaries
    sockets: Path


def find_site(paths: Paths, installed: Path | None = None) -> Site:
    """
    The server of *paths*, run by the programs in the folder *installed* or by those of the wheel.

    The latter are copied if its account cannot reach them.

    Raises:
        ConfigurationError: something is missing or belongs to another account.
    """
    account = choose_account(paths.cluster)
    binaries = reachable_binaries(find_binaries(installed), account)
    return Site(paths, account, binaries, socket_folder(paths.cluster, account))


def socket_folder(cluster: Path, account: Account) -> Path:
    """
    The folder for the socket of *cluster*. Its path is short: a socket address has 107 bytes.

    Raises:
        ConfigurationError: the account can write to no folder for temporary files.
    """
    digest = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]
    for parent in _SOCKET_PARENTS:
        if account.reaches(parent, "wx"):
            return parent / f"routee-receiver-{account.uid}-{digest}"
    raise ConfigurationError(
        f"PostgreSQL's socket needs a folder, but uid {account.uid} can write to none of "
        f"{', '.join(map(str, _SOCKET_PARENTS))}."
    )


def check_socket_folder(folder: Path, account: Account) -> None:
    """
    Refuse a *folder* of another account, which could run a server there and get our password.

    Raises:
        ConfigurationError: it is not a folder that only the account can use.
        FileNotFoundError: it does not exist.
    """
    with _checked(folder, account):
        pass


def make_socket_folder(folder: Path, account: Account) -> None:
    """
    Make *folder*, or empty it of the files of a killed server. Only while no server runs.

    Raises:
        ConfigurationError: it is not a folder that only the account can use.
    """
    if not os.path.lexists(folder):
        folder.mkdir(mode=stat.S_IRWXU)
    with _checked(folder, account) as descriptor:
        _empty(descriptor)
        if account.switch:
            os.fchown(descriptor, account.uid, account.gid)


def remove_socket_folder(folder: Path, account: Account) -> None:
    """Remove *folder* after the server has stopped, unless it belongs to another account."""
    with suppress(FileNotFoundError, ConfigurationError), _checked(folder, account) as descriptor:
        _empty(descriptor)
        folder.rmdir()


def _empty(descriptor: int) -> None:
    for name in os.listdir(descriptor):
        os.unlink(name, dir_fd=descriptor)


@contextmanager
def _checked(folder: Path, account: Account) -> Iterator[int]:
    """A descriptor of *folder*, checked after it was opened, so that it cannot be exchanged."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unsafe(folder, account) from error
    try:
        found = os.fstat(descriptor)
        owners = {account.uid, os.geteuid()}
        if found.st_uid not in owners or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
            raise _unsafe(folder, account)
        yield descriptor
    finally:
        os.close(descriptor)


def _unsafe(folder: Path, account: Account) -> ConfigurationError:
    return ConfigurationError(
        f"{folder} must be a folder with mode 0700 that belongs to uid {account.uid}: "
        "PostgreSQL's socket lies there. Find out which program made it otherwise, and remove it."
    )
