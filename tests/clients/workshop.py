"""Running a generator's commands in a folder of its own, with tools that are kept between runs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.openapi.documents import FOLDER

#: Tools stay here; what registries gave stays in the caches of their own clients.
_TOOLS: Final = Path("var/client-tools")
_PATIENCE_SECONDS: Final = 900
#: Where Python's tools must not look.
_OF_THE_TESTS: Final = ("PYTHONPATH", "VIRTUAL_ENV")


def environment_of_programs() -> dict[str, str]:
    """Ours, without what is meant for the tests."""
    return {key: text for key, text in os.environ.items() if key not in _OF_THE_TESTS}


class Failed(Exception):
    """A command failed; the message has the end of what it said."""


class Workshop:
    """An empty folder with the document, in which shell commands are run."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        tools = (_TOOLS / "".join(one if one.isalnum() else "-" for one in name)).resolve()
        self._python = tools / "python"
        self._environment = {
            **environment_of_programs(),
            "PATH": f"{self._python / 'bin'}:{tools / 'go'}:{os.environ['PATH']}",
            "GOBIN": str(tools / "go"),
            # No C compiler is needed, and a client is no part of a repository.
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "NO_COLOR": "1",
        }
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / "openapi.json", folder)

    def make_python(self) -> None:
        """A virtual environment for `pip` and `python`, unless it is here already."""
        if not (self._python / "bin" / "pip").exists():
            self.run([f"{sys.executable} -m venv {self._python}"])

    def run(self, commands: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        """
        What *commands* print, one after the other.

        Raises:
            Failed: one of them failed, or took too long.
        """
        return run_commands(
            commands, folder=self.folder, environment=self._environment | dict(environment or {})
        )


def run_commands(commands: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> str:
    """
    What shell *commands* print, one after the other.

    Raises:
        Failed: one of them failed, or took too long.
    """
    script = "\n".join(["set -euo pipefail", *commands])
    try:
        done = subprocess.run(  # noqa: S603 (commands of ours)
            ["/bin/bash", "-c", script],
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{commands}: not done after {_PATIENCE_SECONDS} seconds") from None
    if done.returncode != 0:
        raise Failed(f"{commands}: {(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def missing(programs: Sequence[str]) -> list[str]:
    """Those of *programs* that are not installed."""
    return [program for program in programs if shutil.which(program) is None]
