"""The only file that knows where PostgreSQL's own words are kept, and how to quote them."""

import os
from pathlib import Path

from app.embedded.paths import open_private

#: Looked at when the server starts. The log of a quiet server grows by about 100 kB a day.
MAX_LOG_BYTES = 10_000_000

_QUOTED_LINES = 15
_QUOTED_BYTES = 4_000


class LogFile:
    """The log from the moment this object was made; what is older is not quoted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.old"))
        self.descriptor = open_private(path, os.O_WRONLY | os.O_APPEND)
        self._beginning_bytes = os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Leave the log to the processes that have inherited it."""
        os.close(self.descriptor)

    def end(self) -> str:
        """The last lines since the beginning, each on a line of its own, after its file's name."""
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._beginning_bytes, size - _QUOTED_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join((f"The end of {self._path}:", *lines[-_QUOTED_LINES:]))
