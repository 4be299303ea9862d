"""Another process that uses the embedded server."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, sys
from pathlib import Path
from app.embedded import EmbeddedPostgres

async def use() -> None:
    async with EmbeddedPostgres(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(use())
"""


class User:
    """A process that acquires the server in *data_dir* and releases it on `leave`."""

    def __init__(self, data_dir: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (ours)
            [sys.executable, "-c", SCRIPT, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        """The URL, once the process has it."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def leave(self) -> None:
        """Let the process release the server, and return when it has ended well."""
        self._process.communicate(timeout=20)
        assert self._process.returncode == 0

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.communicate()
