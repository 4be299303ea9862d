import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.account import choose_account
from app.embedded.site import make_socket_folder, remove_socket_folder, socket_folder
from app.errors import ConfigurationError
from tests.embedded.look import ask, mode_of, names_in


@pytest.fixture
def sockets(data_dir: Path) -> Iterator[Path]:
    cluster = data_dir / "postgres"
    folder = socket_folder(cluster, choose_account(cluster))
    yield folder
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        folder.chmod(0o700)
        os.chown(folder, os.geteuid(), os.getegid())


def make(folder: Path, mode: int) -> Path:
    folder.mkdir()
    folder.chmod(mode)
    return folder


async def test_a_symlink_in_the_place_of_the_socket_folder_is_not_followed(
    data_dir: Path, sockets: Path
) -> None:
    victim = make(data_dir / "victim", 0o700)
    (data_dir / "victim" / "precious").touch()
    sockets.symlink_to(victim)  # noqa: ASYNC240 (nothing else runs)

    with pytest.raises(ConfigurationError, match="must be a folder with mode 0700"):
        await EmbeddedPostgres(data_dir).acquire()

    assert names_in(victim) == {"precious"}


async def test_a_socket_folder_open_to_others_is_refused(data_dir: Path, sockets: Path) -> None:
    make(sockets, 0o755)

    with pytest.raises(ConfigurationError, match="must be a folder with mode 0700"):
        await EmbeddedPostgres(data_dir).acquire()


@pytest.mark.usefixtures("as_root")
async def test_a_socket_folder_of_another_account_is_refused(data_dir: Path, sockets: Path) -> None:
    os.chown(make(sockets, 0o700), 12345, 12345)

    with pytest.raises(ConfigurationError, match="must be a folder with mode 0700"):
        await EmbeddedPostgres(data_dir).acquire()


async def test_what_a_killed_server_left_in_the_folder_is_cleared(
    data_dir: Path, sockets: Path
) -> None:
    (make(sockets, 0o700) / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT 1") == 1
        assert mode_of(sockets) == 0o700


def test_each_data_directory_has_a_socket_folder_of_its_own(data_dir: Path) -> None:
    account = choose_account(data_dir / "postgres")

    folders = {socket_folder(data_dir / name, account) for name in ("a", "b", "a")}

    assert len(folders) == 2
    assert all(len(os.fsencode(folder / ".s.PGSQL.65535.lock")) < 100 for folder in folders)


def test_a_socket_folder_can_be_removed_twice(data_dir: Path, sockets: Path) -> None:
    account = choose_account(data_dir / "postgres")
    make_socket_folder(sockets, account)

    remove_socket_folder(sockets, account)
    remove_socket_folder(sockets, account)

    assert not sockets.exists()
