"""The only file that knows how the superuser's password is made and kept."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded.paths import Paths, open_private
from app.errors import ConfigurationError

_RANDOM_BYTES = 32


def make_password(paths: Paths) -> str:
    """
    The stored password, or a new one, durable before any cluster knows it.

    Its characters need no quoting in a URL.
    """
    if not paths.password.exists():
        unfinished = paths.password.with_name("postgres.password.new")
        unfinished.unlink(missing_ok=True)
        _write(unfinished, secrets.token_urlsafe(_RANDOM_BYTES))
        unfinished.rename(paths.password)
        sync_folder(paths.root)
    return read_password(paths)


def read_password(paths: Paths) -> str:
    """
    The stored password.

    Raises:
        ConfigurationError: it is lost, or not for us to read.
    """
    try:
        return paths.password.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"The password of the embedded PostgreSQL cannot be read from {paths.password} "
            f"({error.strerror}). Restore that file from a backup."
        ) from error


@contextmanager
def password_file(folder: Path, password: str) -> Iterator[Path]:
    """A file with *password* for the owner of *folder* alone, gone afterwards."""
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
