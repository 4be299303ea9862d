"""The only file that knows what lies where in the data directory."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of the embedded PostgreSQL; *root* is absolute and free of symlinks."""

    root: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory. It exists, not empty, only when it is complete."""
        return self.root / "postgres"

    @property
    def password(self) -> Path:
        """The superuser's password, one line."""
        return self.root / "postgres.password"

    @property
    def log(self) -> Path:
        """What initdb and the server print."""
        return self.root / "postgres.log"

    @property
    def startup_lock(self) -> Path:
        """Held exclusively by whoever starts, joins or stops the server."""
        return self.root / "postgres.startup.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by every user of the server."""
        return self.root / "postgres.users.lock"

    @property
    def server_lock(self) -> Path:
        """Shared by every living process of the server, and by initdb."""
        return self.root / "postgres.server.lock"


def open_private(path: Path, flags: int) -> int:
    """
    A descriptor of *path*, which is made with mode 0600 if it does not exist.

    A new file belongs to whoever owns its folder, so that what root makes in the folder of a
    service account stays usable for that account.
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
