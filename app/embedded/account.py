"""The only file that knows under which account PostgreSQL runs, and what that account can reach."""

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from app.embedded.paths import Paths
from app.errors import ConfigurationError

#: Who runs PostgreSQL for root, which PostgreSQL itself refuses to serve.
UNPRIVILEGED = ("postgres", "nobody")


_ACCESS = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}


class Identity(TypedDict):
    """The arguments of `subprocess` that make a child run as somebody else, or as ourselves."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs PostgreSQL. *switch*: we are root, and children must become it."""

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

        Asked of the kernel by a child, as any folder above can deny it.
        """
        if not self.switch:
            return os.access(path, sum(_ACCESS[letter] for letter in access))
        test = " && ".join(f'[ -{letter} "$1" ]' for letter in access)
        child = subprocess.run(  # noqa: S603 (a fixed script, the path is its argument)
            ["/bin/sh", "-c", test, "sh", path], check=False, cwd="/", **self.identity
        )
        return child.returncode == 0


def choose_account(paths: Paths) -> Account:
    """
    Ourselves; or for root whoever owns the cluster, else the data directory, else a system account.

    A cluster therefore never changes hands when root and a service account take turns.

    Raises:
        ConfigurationError: the cluster belongs to somebody else, or root has no account to use.
    """
    if os.geteuid() == 0:
        return _account_for_root(paths)
    if paths.cluster.exists() and paths.cluster.stat().st_uid != os.geteuid():
        raise ConfigurationError(
            f"{paths.cluster} belongs to uid {paths.cluster.stat().st_uid}, but this process runs "
            f"as uid {os.geteuid()}. Run it as that account, or as root."
        )
    return Account(os.geteuid(), os.getegid(), switch=False)


def _account_for_root(paths: Paths) -> Account:
    if paths.cluster.exists() and paths.cluster.stat().st_uid != 0:
        found = paths.cluster.stat()
        return Account(found.st_uid, found.st_gid, switch=True)
    for entry in pwd.getpwall():
        if entry.pw_uid == paths.root.stat().st_uid != 0:
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
    """Give *folder* and all in it to the account, if root owns it; symlinks are not followed."""
    if not account.switch or folder.stat().st_uid == account.uid:
        return
    os.chown(folder, account.uid, account.gid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), account.uid, account.gid, follow_symlinks=False)
