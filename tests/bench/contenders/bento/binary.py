"""The only file that knows where Bento comes from."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from tests.bench.contenders.contender import Unavailable
from tests.bench.group import Say
from tests.bench.processes import output_of

#: The program, and its version: by that Go's checksum database knows the content of all modules.
_SOURCES: Final = (Path(__file__).with_name("main.go"), Path(__file__).with_name("go.mod"))
_FOLDER: Final = Path("var/bench-tools")
_PATIENCE_SECONDS: Final = 1800
#: The C compiler is not needed. Go completes `go.mod` itself, in the copy that is built.
_ENVIRONMENT: Final = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=mod"}


async def bento(say: Say) -> Path:
    """
    The program, built from Go's modules unless it is here already.

    Raises:
        Unavailable: it cannot be had.
    """
    content = b"".join(path.read_bytes() for path in _SOURCES)
    folder = _FOLDER / f"bento-{hashlib.sha256(content).hexdigest()[:12]}"
    program = folder.resolve() / "bento"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            raise Unavailable("Bento is built with Go, which is not installed")
        say("building Bento, once: this takes some minutes")
        _copy_sources(folder)
        await _build(go, folder, program)
    return program


def _copy_sources(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in _SOURCES:
        shutil.copy(path, folder)


async def _build(go: str, folder: Path, program: Path) -> None:
    command = (go, "build", "-ldflags=-s -w", "-o", program, ".")
    environment = {**os.environ, **_ENVIRONMENT}
    try:
        said = await output_of(
            *command, patience_seconds=_PATIENCE_SECONDS, environment=environment, folder=folder
        )
    except TimeoutError:
        raise Unavailable("Bento could not be built in time") from None
    if said.code != 0:
        raise Unavailable(f"Bento could not be built: {said.text[-300:]}")
