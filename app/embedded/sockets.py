"""The only file that knows in which folder the server's socket lies, and whether it is safe."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.embedded.account import Account
from app.embedded.paths import Paths
from app.errors import ConfigurationError

#: First of all the one that is the same for every process, whatever its TMPDIR says.
_PARENTS = (Path("/tmp"), Path(tempfile.gettempdir()))  # noqa: S108 (the folder itself is 0700)


def socket_folder(paths: Paths, account: Account) -> Path:
    """
    The folder for the socket of this cluster: short, as an address holds 107 bytes only.

    Raises:
        ConfigurationError: the account can write to no folder for temporary files.
    """
    digest = hashlib.sha256(os.fsencode(paths.cluster)).hexdigest()[:16]
    for parent in _PARENTS:
        if account.reaches(parent, "wx"):
            return parent / f"routee-receiver-{account.uid}-{digest}"
    raise ConfigurationError(
        f"PostgreSQL's socket needs a folder, but uid {account.uid} can write to none of "
        f"{', '.join(map(str, _PARENTS))}."
    )


def check_socket_folder(folder: Path, account: Account) -> None:
    """
    Refuse a *folder* that somebody else made, to take our password or our place.

    Raises:
        ConfigurationError: it is no folder, or not for the account alone.
        FileNotFoundError: there is nothing.
    """
    with _opened(folder, account):
        pass


def make_socket_folder(folder: Path, account: Account) -> None:
    """
    Make *folder*, or empty it of what a killed server has left. Only while no server runs.

    Raises:
        ConfigurationError: what is there is not ours.
    """
    if not os.path.lexists(folder):
        folder.mkdir(mode=stat.S_IRWXU)
    with _opened(folder, account) as descriptor:
        _empty(descriptor)
        if account.switch:
            os.fchown(descriptor, account.uid, account.gid)


def remove_socket_folder(folder: Path, account: Account) -> None:
    """Remove what the stopped server does not need any more, and nothing of somebody else."""
    with suppress(FileNotFoundError, ConfigurationError), _opened(folder, account) as descriptor:
        _empty(descriptor)
        folder.rmdir()


def _empty(descriptor: int) -> None:
    for name in os.listdir(descriptor):
        os.unlink(name, dir_fd=descriptor)


@contextmanager
def _opened(folder: Path, account: Account) -> Iterator[int]:
    """A descriptor of *folder* after a look at it, so that it cannot be exchanged in between."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _strange(folder, account) from error
    try:
        found = os.fstat(descriptor)
        owners = {account.uid, os.geteuid()}
        if found.st_uid not in owners or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
            raise _strange(folder, account)
        yield descriptor
    finally:
        os.close(descriptor)


def _strange(folder: Path, account: Account) -> ConfigurationError:
    return ConfigurationError(
        f"{folder} must be a folder with mode 0700 that belongs to uid {account.uid}: "
        "PostgreSQL's socket lies there. Find out who made it otherwise, and remove it."
    )
