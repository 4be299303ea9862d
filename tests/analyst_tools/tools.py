"""
Analysts' programs, pinned and kept between runs.

Each has a folder below `var/`. What cannot be fetched skips its tests, with the reason.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.clients.workshop import Failed, environment_of_programs, missing, run_commands

PROGRAMS: Final = Path(__file__).with_name("programs")
_TOOLS: Final = Path("var/analyst-tools")
#: Nothing younger is installed, so that what the pinned ones require stays as it was tested.
_NEWEST: Final = "2026-11-20"


@contextmanager
def _skipped_if_it_fails(name: str) -> Iterator[None]:
    try:
        yield
    except Failed as failure:
        pytest.skip(f"{name} cannot be fetched: {failure}")


@dataclass(frozen=True, slots=True)
class PythonTool:
    """Packages from PyPI, in a virtual environment of their own."""

    name: str
    #: The first one is the tool itself: `name==version`.
    packages: tuple[str, ...]
    newest: str = _NEWEST

    @property
    def version(self) -> str:
        return self.packages[0].rpartition("==")[2]

    @property
    def _folder(self) -> Path:
        return (_TOOLS / f"{self.name}-{self.version}").resolve()

    def fetch(self) -> None:
        """Install it, unless it is here already; else skip the test."""
        self._folder.mkdir(parents=True, exist_ok=True)
        uv = Path(sys.executable).with_name("uv")
        packages = " ".join(f"'{package}'" for package in self.packages)
        install = f"{uv} pip install -q --python bin/python --exclude-newer {self.newest}"
        make = f"[ -x bin/python ] || {uv} venv -q --python {sys.executable} --clear ."
        with _skipped_if_it_fails(self.name):
            run_commands(
                [make, f"{install} {packages}"],
                folder=self._folder,
                environment=environment_of_programs(),
            )

    def command(self, name: str) -> str:
        """The path of a command that it installed."""
        return str(self._folder / "bin" / name)

    def run(
        self,
        commands: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """What *commands* print in *folder*; those of the tool are found first."""
        ours = environment_of_programs()
        path = f"{self._folder / 'bin'}:{ours['PATH']}"
        return run_commands(
            commands, folder=folder, environment=ours | {"PATH": path} | dict(environment or {})
        )


def fetched(
    name: str, commands: Sequence[str], *, needs: Sequence[str], file: str | None = None
) -> Path:
    """
    The folder in which *commands* have put a tool; else the test is skipped.

    *needs* are the programs that must be installed; *file* says that it is here already.
    """
    if absent := missing(needs):
        pytest.skip(f"{name} needs {', '.join(absent)}, which is not installed")
    folder = (_TOOLS / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if file is None or not (folder / file).exists():
        with _skipped_if_it_fails(name):
            run_commands(commands, folder=folder, environment=environment_of_programs())
    return folder
