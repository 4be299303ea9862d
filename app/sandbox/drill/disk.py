"""A disk of limited size for a PostgreSQL, which a drill fills; root alone can have one."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_MOUNT: Final = shutil.which("mount")
_UMOUNT: Final = shutil.which("umount")
_MEMORY_INFO: Final = Path("/proc/meminfo")
#: So much of the available memory at most.
_MEMORY_PARTS: Final = 3
_KILOBYTE: Final = 1024


class LimitedDisk:
    """A tmpfs that is mounted at *folder*, as long as `mount` was called and `unmount` was not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_mounted = False
        self._ballast = folder / "ballast"

    def mount(self, size_bytes: int) -> bool:
        """Mount it if this process may and the memory suffices; return whether it is mounted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if _MOUNT is None or os.geteuid() != 0 or size_bytes > _available_bytes() // _MEMORY_PARTS:
            return False
        command = [_MOUNT, "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755", "tmpfs"]
        mounted = subprocess.run([*command, self.folder], capture_output=True, check=False)  # noqa: S603 (a fixed command)
        self.is_mounted = mounted.returncode == 0
        return self.is_mounted

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb") as ballast:
            free = os.statvfs(self.folder)
            try:
                os.posix_fallocate(ballast.fileno(), 0, free.f_bavail * free.f_frsize)
            except OSError:
                return  # PostgreSQL was faster; what is left is little

    def free(self) -> None:
        """Free what `fill` has taken."""
        self._ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Unmount it, with all that is on it."""
        if self.is_mounted and _UMOUNT is not None:
            subprocess.run([_UMOUNT, "-l", self.folder], capture_output=True, check=False)  # noqa: S603 (a fixed command)
            self.is_mounted = False


def _available_bytes() -> int:
    """The memory that this machine can still give; 0 if that is unknown."""
    try:
        lines = _MEMORY_INFO.read_text().splitlines()
    except OSError:
        return 0
    values = dict(line.split(":", 1) for line in lines)
    return int(values.get("MemAvailable", "0 kB").split()[0]) * _KILOBYTE
