"""What a test sees of an embedded server from outside."""

import stat
import subprocess
from pathlib import Path

import asyncpg

from app.embedded.account import Account, Identity
from app.embedded.process_files import find_pid_file, is_held


async def ask(url: str, query: str) -> object:
    """The single value that *query* gives."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def sockets_of(url: str) -> Path:
    """The folder in which the server has its socket."""
    return Path(str(await ask(url, "SHOW unix_socket_directories")))


def descriptors_of(pid: int) -> set[Path]:
    """What process *pid* has open."""
    return {link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()}


def environment_of(pid: int) -> bytes:
    """The environment that process *pid* was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def log_of(data_dir: Path) -> str:
    """The server's log."""
    return (data_dir / "postgres.log").read_text()


def is_there(path: Path) -> bool:
    """Whether anything has this name."""
    return path.exists() or path.is_symlink()


def names_in(folder: Path) -> set[str]:
    """What lies in *folder*."""
    return {path.name for path in folder.iterdir()}


def mode_of(path: Path) -> int:
    """The permissions of *path*."""
    return stat.S_IMODE(path.stat().st_mode)


def sleeper(
    account: Account | None = None, folder: Path | None = None
) -> "subprocess.Popen[bytes]":
    """A process that has nothing to do with PostgreSQL, but its account or its folder."""
    identity = account.identity if account else Identity(user=None, group=None, extra_groups=None)
    return subprocess.Popen(["/bin/sleep", "60"], cwd=folder, **identity)


def pid_of(cluster: Path) -> int:
    """The pid that the server of *cluster* has written down."""
    found = find_pid_file(cluster)
    assert found is not None
    return found.pid


def children_of(pid: int) -> set[int]:
    """The pids of the children of process *pid*."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(child) for child in text.split()}


def runs(data_dir: Path) -> bool:
    """Whether any process of the server in *data_dir* lives."""
    return is_held(data_dir / "postgres.server.lock")
