import os
import pwd
import stat
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

import app
from app.embedded import EmbeddedPostgres
from app.embedded.account import Identity, choose_account
from tests.embedded.look import ask, children_of, names_in, pid_of, runs
from tests.embedded.user import SCRIPT

pytestmark = pytest.mark.usefixtures("as_root")


def states_above(folder: Path) -> dict[Path, tuple[int, int, int]]:
    return {
        above: (found.st_mode, found.st_uid, found.st_gid)
        for above in (folder, *folder.parents)
        for found in (above.stat(),)
    }


def give_to(owner: str, folder: Path) -> None:
    subprocess.run(["/bin/chown", "-R", owner, folder], check=True)  # noqa: S603 (ours)


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def test_root_runs_the_server_below_a_folder_that_only_root_can_pass(
    empty_dir: Path,
) -> None:
    before = states_above(empty_dir)
    assert stat.S_IMODE(before[empty_dir.parent][0]) == 0o700

    async with EmbeddedPostgres(empty_dir) as url:
        assert await ask(url, "SHOW data_directory") == "/proc/self/cwd"
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert owner_of(pid_of(empty_dir / "postgres")) != 0
    async with EmbeddedPostgres(empty_dir) as url:
        assert await ask(url, "SELECT answer FROM kept") == 42

    assert states_above(empty_dir) == before


async def test_recovery_works_below_a_folder_that_only_root_can_pass(data_dir: Path) -> None:
    killed = EmbeddedPostgres(data_dir)
    url = await killed.acquire()
    await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    postmaster = pid_of(data_dir / "postgres")
    for pid in (postmaster, *children_of(postmaster)):
        os.kill(pid, 9)

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SHOW data_directory") == "/proc/self/cwd"
        assert await ask(url, "SELECT answer FROM kept") == 42
    await killed.release()


async def test_a_data_directory_that_can_be_reached_is_named_by_its_path(
    reachable_dir: Path,
) -> None:
    before = states_above(reachable_dir)

    async with EmbeddedPostgres(reachable_dir) as url:
        assert await ask(url, "SHOW data_directory") == str(reachable_dir / "postgres")

    assert states_above(reachable_dir) == before


async def test_a_cluster_stays_with_the_account_that_owns_it(data_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    give_to("nobody", data_dir / "postgres")

    async with EmbeddedPostgres(data_dir):
        assert owner_of(pid_of(data_dir / "postgres")) == nobody.pw_uid


async def test_a_cluster_that_root_has_restored_is_handed_over(data_dir: Path) -> None:
    give_to("root", data_dir / "postgres")

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT 1") == 1


def test_a_new_cluster_goes_to_the_owner_of_the_data_directory(empty_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(empty_dir, nobody.pw_uid, nobody.pw_gid)

    assert choose_account(empty_dir / "postgres").uid == nobody.pw_uid


def test_an_account_reaches_what_the_kernel_lets_it_reach(reachable_dir: Path) -> None:
    account = choose_account(reachable_dir / "postgres")
    (reachable_dir / "closed").mkdir(mode=0o700)

    assert account.reaches(reachable_dir, "rx")
    assert not account.reaches(reachable_dir, "w")
    assert not account.reaches(reachable_dir / "closed", "x")


def _python_for_nobody() -> str:
    """An interpreter that the account `nobody` can run, with what we import."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [python, "-c", "import asyncpg, app"]
        with suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(command, check=True, env=_environment(), cwd="/", **_as_nobody())  # noqa: S603 (ours)
            return python
    pytest.skip("no interpreter of this version that the account 'nobody' can run")


def _as_nobody() -> Identity:
    nobody = pwd.getpwnam("nobody")
    return Identity(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])


def _environment() -> dict[str, str]:
    repository = Path(app.__file__).parents[1]
    return {"PYTHONPATH": f"{sysconfig.get_path('purelib')}:{repository}"}


def test_without_root_the_server_runs_under_the_account_of_its_users(reachable_dir: Path) -> None:
    python = _python_for_nobody()
    nobody = pwd.getpwnam("nobody")
    os.chown(reachable_dir, nobody.pw_uid, nobody.pw_gid)
    user = subprocess.Popen(  # noqa: S603 (ours)
        [python, "-c", SCRIPT, str(reachable_dir)],
        **_as_nobody(),
        env=_environment(),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert user.stdout is not None
        assert user.stdout.readline().startswith("postgresql://receiver:")
        assert owner_of(pid_of(reachable_dir / "postgres")) == nobody.pw_uid
        user.communicate(timeout=20)
        assert user.returncode == 0
        assert not runs(reachable_dir)
    finally:
        user.kill()
        user.communicate()


async def test_root_makes_a_cluster_that_a_service_account_can_use(reachable_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(reachable_dir, nobody.pw_uid, nobody.pw_gid)

    async with EmbeddedPostgres(reachable_dir):
        pass

    owners = {(reachable_dir / name).stat().st_uid for name in names_in(reachable_dir)}
    assert owners == {nobody.pw_uid}
