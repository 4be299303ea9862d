"""The account that PostgreSQL runs under, what it can reach, and the superuser's password."""

import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from app.errors import ConfigurationError

#: The accounts that run PostgreSQL for root: PostgreSQL itself refuses to run as root.
UNPRIVILEGED = ("postgres", "nobody")

_ACCESS = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
_PASSWORD_BYTES = 32


class Identity(TypedDict):
    """The arguments of `subprocess` that set the account of a child; None keeps our own."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


@dataclass(frozen=True, slots=True)
class Account:
    """The account that runs PostgreSQL. *switch*: this process is root, children change to it."""

    uid: int
    gid: int
    switch: bool

    @property
    def identity(self) -> Identity:
        """What `subprocess` needs to run a child under this account."""
        if not self.switch:
            return Identity(user=None, group=None, extra_groups=None)
        return Identity(user=self.uid, group=self.gid, extra_groups=[])

    def reaches(self, path: Path, access: str) -> bool:
        """
        Whether *path* grants *access*, some of the letters `r`, `w` and `x`, to this account.

        A child asks the kernel, because any folder above *path* can deny access.
        """
        if not self.switch:
            return os.access(path, sum(_ACCESS[letter] for letter in access))
        test = " && ".join(f'[ -{letter} "$1" ]' for letter in access)
        child = subprocess.run(  # noqa: S603 (a fixed script, the path is its argument)
            ["/bin/sh", "-c", test, "sh", path], check=False, cwd="/", **self.identity
        )
        return child.returncode == 0


def choose_account(cluster: Path) -> Account:
    """
    Our own account; for root the owner of *cluster*, else of the folder above, else a system one.

    A cluster therefore keeps its owner when root and a service account take turns.

    Raises:
        ConfigurationError: another account owns the cluster, or root has no account to use.
    """
    if os.geteuid() == 0:
        return _account_for_root(cluster)
    if cluster.exists() and cluster.stat().st_uid != os.geteuid():
        raise ConfigurationError(
            f"{cluster} belongs to uid {cluster.stat().st_uid}, but this process runs as uid "
            f"{os.geteuid()}. Run it as that account, or as root."
        )
    return Account(os.geteuid(), os.getegid(), switch=False)


def _account_for_root(cluster: Path) -> Account:
    if cluster.exists() and cluster.stat().st_uid != 0:
        found = cluster.stat()
        return Account(found.st_uid, found.st_gid, switch=True)
    for entry in pwd.getpwall():
        if entry.pw_uid == cluster.parent.stat().st_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, switch=True)
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, switch=True)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody'. Create "
        "one, run the service under an account of its own, or set RECEIVER_DATABASE_URL."
    )


def hand_over(folder: Path, account: Account) -> None:
    """Give *folder* and its contents to *account*, if root owns it; symlinks are not followed."""
    if not account.switch or folder.stat().st_uid == account.uid:
        return
    os.chown(folder, account.uid, account.gid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), account.uid, account.gid, follow_symlinks=False)


def open_private(path: Path, flags: int) -> int:
    """
    A descriptor of *path*, which is made with mode 0600 if it does not exist.

    A new file belongs to the owner of its folder, so that a file that root makes in the folder of
    a service account stays usable for that account.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def ensure_password(path: Path) -> str:
    """
    The password stored in *path*; a new one is durable before any cluster uses it.

    It needs no quoting in a URL.
    """
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.new")
        unfinished.unlink(missing_ok=True)
        _write(unfinished, secrets.token_urlsafe(_PASSWORD_BYTES))
        unfinished.rename(path)
        sync_folder(path.parent)
    return read_password(path)


def read_password(path: Path) -> str:
    """
    The password stored in *path*.

    Raises:
        ConfigurationError: the file is lost, or this process may not read it.
    """
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"The password of the embedded PostgreSQL cannot be read from {path} "
            f"({error.strerror}). Restore that file from a backup."
        ) from error


@contextmanager
def password_file(folder: Path, password: str) -> Iterator[Path]:
    """A file with *password* that only the owner of *folder* can read, removed at the end."""
    path = folder / "password"
    _write(path, password)
    try:
        yield path
    finally:
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, password: str) -> None:
    descriptor = open_private(path, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{password}\n")
        file.flush()
        os.fsync(descriptor)
