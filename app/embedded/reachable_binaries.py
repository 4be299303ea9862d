"""The only file that knows how an account gets at binaries that lie behind a closed folder."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app.embedded.account import Account
from app.embedded.binaries import Binaries
from app.errors import ConfigurationError

CACHE = Path("/var/cache/routee-receiver")

#: What runs a server, relative to the folder of the wheel's package. The last one holds the shared
#: libraries which initdb looks for beside the package.
_NEEDED = (
    "{name}/bin/initdb",
    "{name}/bin/postgres",
    "{name}/bin/pg_ctl",
    "{name}/lib/postgresql",
    "{name}/share/postgresql",
    "../{package}.libs",
)


def reachable_binaries(binaries: Binaries, account: Account, *, cache: Path = CACHE) -> Binaries:
    """
    The binaries where *account* can run them: where they are, or a copy in *cache*.

    Opening the folders above them would be simpler, but these are not ours.

    Raises:
        ConfigurationError: the copy cannot be made, or somebody else could have changed it.
    """
    if account.reaches(binaries.initdb, "rx") and account.reaches(binaries.postgres, "rx"):
        return binaries
    package = binaries.folder.parent
    copy = cache / f"postgresql-{binaries.version}-{_fingerprint(binaries.folder)}"
    try:
        _copy_once(binaries.folder, copy)
    except OSError as error:
        raise ConfigurationError(
            f"The account that runs PostgreSQL (uid {account.uid}) cannot reach {binaries.folder}, "
            f"and copying it to {copy} failed: {error}. Install the service where that account can "
            "read it, or set RECEIVER_DATABASE_URL."
        ) from error
    _check_untouched(copy)
    return replace(binaries, folder=copy / package.name / binaries.folder.name)


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each needed file, and its path relative to the folder that has the package."""
    package = folder.parent
    for pattern in _NEEDED:
        needed = package / pattern.format(name=folder.name, package=package.name)
        for file in sorted(needed.rglob("*")) if needed.is_dir() else [needed]:
            if file.is_file():
                yield file, Path(os.path.relpath(file, package.parent))


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for file, relative in _files(folder):
        digest.update(os.fsencode(relative) + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _copy_once(folder: Path, copy: Path) -> None:
    if copy.exists():
        return
    if not copy.parent.exists():
        _make_public(copy.parent)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=copy.parent) as scratch:
        built = Path(scratch) / copy.name
        for file, relative in _files(folder):
            _copy_public(file, built / relative)
        built.rename(copy)


def _make_public(folder: Path) -> None:
    """Make *folder* and what is missing above it with mode 0755, whatever the umask is."""
    if not folder.parent.exists():
        _make_public(folder.parent)
    folder.mkdir()
    folder.chmod(0o755)


def _copy_public(file: Path, target: Path) -> None:
    if not target.parent.exists():
        _make_public(target.parent)
    shutil.copyfile(file, target)
    target.chmod(0o755 if os.access(file, os.X_OK) else 0o644)


def _check_untouched(copy: Path) -> None:
    for folder in (copy, copy.parent):
        found = folder.lstat()
        writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or writable_by_others:
            raise ConfigurationError(
                f"{folder} must be a folder that only uid {os.geteuid()} can write. Remove it, and "
                "it will be made again."
            )
