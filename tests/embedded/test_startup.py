import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.account import choose_account
from app.errors import ConfigurationError, DatabaseUnavailable
from tests.embedded.look import (
    ask,
    children_of,
    log_of,
    pid_of,
    runs,
    sleeper,
    sockets_of,
)
from tests.embedded.user import User

StartUser = Callable[[], User]


def kill_and_wait(data_dir: Path, pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended since the pids were listed
            os.kill(pid, signal.SIGKILL)
    while runs(data_dir):
        time.sleep(0.02)


async def test_a_crash_of_everything_is_recovered_from(
    data_dir: Path, cluster: Path, start_user: StartUser
) -> None:
    users = [start_user(), start_user()]
    urls = [user.url() for user in users]
    await ask(urls[0], "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")

    for user in users:
        user.kill()
    kill_and_wait(data_dir, {pid_of(cluster), *children_of(pid_of(cluster))})

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT count(*) FROM kept") == 1000
    assert "automatic recovery in progress" in log_of(data_dir)
    assert not runs(data_dir)


async def test_a_server_that_outlived_its_users_is_joined_and_then_stopped(
    data_dir: Path, cluster: Path, start_user: StartUser
) -> None:
    user = start_user()
    user.url()
    survivor = pid_of(cluster)
    user.kill()

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT 1") == 1
        assert pid_of(cluster) == survivor
    assert not runs(data_dir)


def is_checkpointer(pid: int) -> bool:
    """Whether it is this process of the server, which lives as long as the server does."""
    return b"checkpointer" in Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_a_killed_postmaster_is_replaced_once_its_orphans_are_gone(
    data_dir: Path, cluster: Path
) -> None:
    first, second = EmbeddedPostgres(data_dir), EmbeddedPostgres(data_dir)
    await first.acquire()
    postmaster = pid_of(cluster)
    (orphan,) = (pid for pid in children_of(postmaster) if is_checkpointer(pid))
    os.kill(orphan, signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)

    arrival = asyncio.create_task(second.acquire())
    await asyncio.sleep(1)
    assert not arrival.done()
    os.kill(orphan, signal.SIGCONT)

    assert await ask(await arrival, "SELECT 1") == 1
    assert pid_of(cluster) != postmaster
    await first.release()
    await second.release()


async def test_a_server_that_does_not_answer_yet_is_waited_for_with_messages(
    data_dir: Path, cluster: Path
) -> None:
    messages: list[str] = []
    async with EmbeddedPostgres(data_dir):
        server = pid_of(cluster)
        os.kill(server, signal.SIGSTOP)
        late = EmbeddedPostgres(data_dir, on_progress=messages.append)
        arrival = asyncio.create_task(late.acquire())
        while not messages:  # noqa: ASYNC110 (nothing but the list tells)
            await asyncio.sleep(0.05)
        os.kill(server, signal.SIGCONT)

        await arrival

        assert pid_of(cluster) == server
        assert messages[0].startswith("Waiting for PostgreSQL: ")
        assert messages[0].endswith(" s)")
        await late.release()


async def test_a_stale_pid_of_a_foreign_process_does_not_prevent_a_start_or_harm_it(
    data_dir: Path, cluster: Path, start_user: StartUser
) -> None:
    user = start_user()
    user.url()
    kill_and_wait(data_dir, {pid_of(cluster), *children_of(pid_of(cluster))})
    user.kill()
    foreign = sleeper(choose_account(cluster))
    stale = cluster / "postmaster.pid"
    lines = stale.read_text().splitlines(keepends=True)
    stale.write_text("".join((f"{foreign.pid}\n", *lines[1:])))

    try:
        async with EmbeddedPostgres(data_dir) as url:
            assert await ask(url, "SELECT 1") == 1
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


async def test_no_second_server_is_started_on_the_files_of_a_foreign_one(
    data_dir: Path, cluster: Path
) -> None:
    with sleeper(folder=cluster) as foreign:
        (cluster / "postmaster.pid").write_text(f"{foreign.pid}\n")
        with pytest.raises(ConfigurationError, match=f"Process {foreign.pid} runs on"):
            await EmbeddedPostgres(data_dir).acquire()
        assert foreign.poll() is None
        foreign.kill()


async def test_a_server_that_ends_while_starting_is_reported_with_the_end_of_its_log(
    data_dir: Path, cluster: Path
) -> None:
    with (cluster / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = on\n")

    with pytest.raises(DatabaseUnavailable, match='unrecognized configuration parameter "no_such'):
        await EmbeddedPostgres(data_dir).acquire()

    assert not runs(data_dir)


async def test_a_wrong_password_file_is_named(data_dir: Path) -> None:
    (data_dir / "postgres.password").write_text("not-the-password\n")

    with pytest.raises(ConfigurationError, match=r"postgres\.password"):
        await EmbeddedPostgres(data_dir).acquire()

    assert not runs(data_dir)


async def test_a_lost_password_file_is_named(data_dir: Path) -> None:
    (data_dir / "postgres.password").unlink()

    with pytest.raises(ConfigurationError, match=r"postgres\.password .*backup"):
        await EmbeddedPostgres(data_dir).acquire()

    assert not runs(data_dir)


async def test_a_connection_needs_the_password(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        password = (data_dir / "postgres.password").read_text().strip()
        for other in ("", "guessed"):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await ask(url.replace(password, other), "SELECT 1")

        rules = "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules"
        assert await ask(url, rules) == ["scram-sha-256"]


async def test_a_removed_database_is_made_again(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        await ask(url.replace("/receiver?", "/postgres?"), "DROP DATABASE receiver")

        async with EmbeddedPostgres(data_dir) as url_again:
            assert await ask(url_again, "SELECT 1") == 1


async def test_a_server_whose_socket_was_removed_is_replaced_by_its_only_user(
    data_dir: Path, cluster: Path, start_user: StartUser
) -> None:
    user = start_user()
    sockets = await sockets_of(user.url())
    survivor = pid_of(cluster)
    user.kill()
    shutil.rmtree(sockets)

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT 1") == 1
        assert pid_of(cluster) != survivor


async def test_a_server_that_ended_is_revived_at_the_same_url(
    data_dir: Path, cluster: Path
) -> None:
    server = EmbeddedPostgres(data_dir)
    url = await server.acquire()
    assert not await server.revive()
    kill_and_wait(data_dir, {pid_of(cluster), *children_of(pid_of(cluster))})

    assert await server.revive()

    assert await ask(url, "SELECT 1") == 1
    await server.release()
    assert not runs(data_dir)
