import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.account import choose_account
from app.embedded.paths import Paths
from app.embedded.sockets import make_socket_folder, remove_socket_folder, socket_folder
from app.errors import ConfigurationError
from tests.embedded.look import ask, mode_of, names_in


@pytest.fixture
def sockets(data_dir: Path) -> Iterator[Path]:
    paths = Paths(data_dir)
    folder = socket_folder(paths, choose_account(paths))
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


def lead(link: Path, folder: Path) -> None:
    link.symlink_to(folder)


async def test_a_symlink_in_the_place_of_the_socket_folder_is_not_followed(
    data_dir: Path, sockets: Path
) -> None:
    victim = make(data_dir / "victim", 0o700)
    (data_dir / "victim" / "precious").touch()
    lead(sockets, victim)

    with pytest.raises(ConfigurationError, match="must be a folder with mode 0700"):
        await EmbeddedPostgres(data_dir).acquire()

    assert names_in(victim) == {"precious"}


async def test_a_socket_folder_open_to_others_is_refused(data_dir: Path, sockets: Path) -> None:
    make(sockets, 0o755)

    with pytest.raises(ConfigurationError, match="must be a folder with mode 0700"):
        await EmbeddedPostgres(data_dir).acquire()


@pytest.mark.usefixtures("as_root")
async def test_a_socket_folder_of_somebody_else_is_refused(data_dir: Path, sockets: Path) -> None:
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
    account = choose_account(Paths(data_dir))

    folders = {socket_folder(Paths(data_dir / name), account) for name in ("a", "b", "a")}

    assert len(folders) == 2
    assert all(len(os.fsencode(folder / ".s.PGSQL.65535.lock")) < 100 for folder in folders)


def test_a_folder_that_is_already_gone_is_removed_without_complaint(
    data_dir: Path, sockets: Path
) -> None:
    account = choose_account(Paths(data_dir))
    make_socket_folder(sockets, account)

    remove_socket_folder(sockets, account)
    remove_socket_folder(sockets, account)

    assert not sockets.exists()
