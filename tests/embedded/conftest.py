"""Data directories that are removed after each test, with the servers that run in them."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.process_files import find_pid_file, is_held, works_in
from app.embedded.site import Paths, find_site, remove_socket_folder
from tests.embedded.user import User

StartUser = Callable[[], User]


#: A file system in memory, where copying a cluster takes a tenth of the time.
MEMORY = Path("/dev/shm")  # noqa: S108 (with a folder of our own, mode 0700, in it)

ENOUGH_BYTES = 1_000_000_000


def _scratch_folder() -> "tempfile.TemporaryDirectory[str]":
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    return tempfile.TemporaryDirectory(prefix="embedded-", dir=MEMORY if roomy else None)


async def _make_template(folder: Path) -> None:
    async with EmbeddedPostgres(folder):
        pass


def _end_server(data_dir: Path) -> None:
    """End the server that a failed test has left in *data_dir*, and wait for its end."""
    paths = Paths(data_dir.resolve())
    while paths.server_lock.exists() and is_held(paths.server_lock):
        found = find_pid_file(paths.cluster)
        if found and works_in(found.pid, paths.cluster):
            os.kill(found.pid, signal.SIGQUIT)
        time.sleep(0.05)
    if not paths.root.exists():
        return
    site = find_site(paths)
    remove_socket_folder(site.sockets, site.account)


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A data directory without a cluster. As root, only root can pass the folder above it."""
    with _scratch_folder() as folder:
        data_dir = Path(folder).resolve() / "data"
        data_dir.mkdir()
        yield data_dir
        _end_server(data_dir)


@pytest.fixture
def deep_dir(empty_dir: Path) -> Iterator[Path]:
    """A data directory with a longer path than a socket can have; it does not exist yet."""
    data_dir = empty_dir / ("d" * 100) / ("e" * 100)
    yield data_dir
    _end_server(data_dir)


@pytest.fixture(scope="session")
def template_dir() -> Iterator[Path]:
    """A data directory with a cluster that was stopped."""
    with _scratch_folder() as folder:
        yield Path(folder)


@pytest.fixture
def data_dir(empty_dir: Path, template_dir: Path) -> Path:
    """A data directory with a cluster of its own, which does not run."""
    if not (template_dir / "postgres").exists():
        asyncio.run(_make_template(template_dir))
    empty_dir.rmdir()
    subprocess.run(["cp", "-a", template_dir, empty_dir], check=True)  # noqa: S603, S607 (ours)
    return empty_dir


@pytest.fixture
def cluster(data_dir: Path) -> Path:
    """The cluster in the data directory."""
    return data_dir / "postgres"


@pytest.fixture
def start_user(empty_dir: Path) -> Iterator[StartUser]:
    """Starts processes that use the data directory; none outlives the test."""
    users: list[User] = []

    def start() -> User:
        users.append(User(empty_dir))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture
def as_root() -> None:
    """Skips a test that only root can run."""
    if os.geteuid() != 0:
        pytest.skip("only root can change to another account")


@pytest.fixture
def reachable_dir(empty_dir: Path) -> Path:
    """The same directory, where every account can pass the folder above it."""
    empty_dir.parent.chmod(0o755)
    return empty_dir
