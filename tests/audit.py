"""
`make audit`: looks the locked versions up among the known holes, with the locked uv.

uv audits projects that it has locked itself, so it gets one whose dependencies are the pins of our
lock. Exit code 0: no known hole; 1: uv names them; 2: uv failed; 3: the source of known holes,
api.osv.dev, or the package index cannot be reached, so nothing is known.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements-dev.lock"
UNREACHABLE = 3
_PIN = re.compile(r"^([A-Za-z0-9][\w.\-\[\]]*==[^\s\\;]+)(\s*;[^\\\n]*)?", re.MULTILINE)
_UV_FOUND_HOLES = 1
_UNANSWERED = re.compile(r"Request failed|Failed to fetch|error sending request|client error")
_UV = Path(sys.executable).with_name("uv")


def pins(lock: str) -> list[str]:
    """The pinned requirements of a *lock*, with their markers and without their hashes."""
    return [f"{name}{(marker or '').rstrip()}" for name, marker in _PIN.findall(lock)]


def audit(folder: Path, lock: str) -> int:
    """Audit the pins of *lock* in a project in the empty *folder*; the exit code."""
    project = '[project]\nname = "audited"\nversion = "0"\nrequires-python = ">=3.11"\n'
    (folder / "pyproject.toml").write_text(f"{project}dependencies = {json.dumps(pins(lock))}\n")
    command = [str(_UV), "audit", "--preview-features", "audit-command"]
    ended = subprocess.run(  # noqa: S603 (the locked uv)
        command, cwd=folder, stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(ended.stderr)
    if ended.returncode > _UV_FOUND_HOLES and _UNANSWERED.search(ended.stderr):
        sys.stderr.write("Nothing was audited: the source of known holes cannot be reached.\n")
        return UNREACHABLE
    return ended.returncode


def main() -> int:
    """Audit the lock that has all dependencies, those of development included."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        return audit(Path(folder), LOCK.read_text())


if __name__ == "__main__":
    sys.exit(main())
