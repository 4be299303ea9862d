"""Two programs side by side: the one that serves, and the next version that migrates under it."""

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from app.sandbox.processes import RECEIVER

ROOT: Final = Path(__file__).parents[2]
#: What a program consists of.
_PARTS: Final = ("app", "migrations")

#: A migration that only adds, as every one does from the first release on: a column with a default
#: in tables that callbacks write, a table, and an index on it.
_ONLY_ADDS: Final = '''"""A column for messages and for events, and a table; for a test."""

from alembic import op

revision = "{revision}"
down_revision = "{below}"
branch_labels = None
depends_on = None

LOSES = "What was written into the notes."


def upgrade() -> None:
    op.execute("ALTER TABLE messages ADD COLUMN note text NOT NULL DEFAULT 'none'")
    op.execute("ALTER TABLE events ADD COLUMN note text NOT NULL DEFAULT 'none'")
    op.execute("CREATE TABLE notes (id bigint PRIMARY KEY, note text NOT NULL DEFAULT '')")
    op.execute("CREATE INDEX notes_note_idx ON notes (note)")


def downgrade() -> None:
    op.execute("DROP TABLE notes")
    op.execute("ALTER TABLE events DROP COLUMN note")
    op.execute("ALTER TABLE messages DROP COLUMN note")
'''


class Program:
    """A version of the program in *folder*."""

    def __init__(self, folder: Path) -> None:
        #: What makes `routee-receiver` this version.
        self.settings = {"PYTHONPATH": str(folder)}
        self._folder = folder

    async def run(self, url: str, *arguments: str) -> str:
        """What a command prints about the database at *url*; it must succeed."""
        own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
        process = await asyncio.create_subprocess_exec(
            *RECEIVER,
            *arguments,
            env=own | self.settings | {"RECEIVER_DATABASE_URL": url},
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        return printed.decode()


def last_release(repository: Path = ROOT) -> str | None:
    """The tag of the last release below the commit of *repository*; None if there is none."""
    found = _git(repository, "describe", "--tags", "--abbrev=0", "--match=v[0-9]*")
    return found.decode().strip() if found else None


def released_program(folder: Path, repository: Path = ROOT) -> Program | None:
    """The program of the last release, unpacked into *folder*; None if there is none."""
    tag = last_release(repository)
    if tag is None:
        return None
    archive = _git(repository, "archive", tag, *_PARTS)
    assert archive, f"{tag} cannot be read"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return Program(folder)


def program_of_today(folder: Path) -> Program:
    """The program of this checkout, copied into *folder*, where nothing changes it."""
    for part in _PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return Program(folder)


def next_program(folder: Path, *, revision: str, below: str) -> Program:
    """The same with one more migration, *revision* on top of *below*, which only adds."""
    program = program_of_today(folder)
    text = _ONLY_ADDS.format(revision=revision, below=below)
    (folder / "migrations" / "versions" / f"{revision}_notes.py").write_text(text)
    return program


def _git(repository: Path, *arguments: str) -> bytes:
    """What git prints; nothing if it fails, as in an unpacked archive, or is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=repository, check=False, capture_output=True)  # noqa: S603, S607
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""
