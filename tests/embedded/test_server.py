import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded import EmbeddedPostgres
from app.embedded.process_files import find_pid_file
from app.errors import DatabaseUnavailable
from tests.embedded.look import (
    ask,
    descriptors_of,
    environment_of,
    is_there,
    log_of,
    mode_of,
    names_in,
    pid_of,
    runs,
    sockets_of,
)
from tests.embedded.user import User

StartUser = Callable[[], User]


async def test_asyncpg_and_sqlalchemy_both_take_the_url(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT current_database()") == "receiver"
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT current_user")) == "receiver"
        await engine.dispose()


async def test_two_users_in_one_process_share_a_server(data_dir: Path) -> None:
    first, second = EmbeddedPostgres(data_dir), EmbeddedPostgres(data_dir)

    urls = await asyncio.gather(first.acquire(), second.acquire())
    await first.release()

    assert urls[0] == urls[1]
    assert await ask(urls[0], "SELECT 1") == 1
    await second.release()
    assert not runs(data_dir)


async def test_the_last_process_to_leave_stops_the_server(
    data_dir: Path, cluster: Path, start_user: StartUser
) -> None:
    first, second, third = start_user(), start_user(), start_user()
    urls = {user.url() for user in (first, second, third)}
    server = pid_of(cluster)

    second.leave()
    first.leave()

    assert await ask(urls.pop(), "SELECT 1") == 1
    assert pid_of(cluster) == server
    third.leave()
    assert not runs(data_dir)
    assert find_pid_file(cluster) is None


async def test_what_was_committed_is_there_after_a_restart(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT answer FROM kept") == 42


async def test_a_released_server_leaves_nothing_in_the_folder_for_sockets(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        sockets = await sockets_of(url)
        assert is_there(sockets)

    assert not is_there(sockets)


async def test_a_second_release_changes_nothing(data_dir: Path) -> None:
    leaver = EmbeddedPostgres(data_dir)
    await leaver.acquire()
    async with EmbeddedPostgres(data_dir) as url:
        await leaver.release()
        await leaver.release()

        assert await ask(url, "SELECT 1") == 1


async def test_a_second_acquire_is_an_error(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    async with server:
        with pytest.raises(RuntimeError, match="acquired already"):
            await server.acquire()


async def test_a_cancelled_start_leaves_no_server_behind(data_dir: Path, cluster: Path) -> None:
    start = asyncio.create_task(EmbeddedPostgres(data_dir).acquire())
    while find_pid_file(cluster) is None:  # noqa: ASYNC110 (the server writes it)
        await asyncio.sleep(0.001)

    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    assert not runs(data_dir)


async def test_ctrl_c_in_our_terminal_does_not_reach_the_server(
    data_dir: Path, cluster: Path
) -> None:
    async with EmbeddedPostgres(data_dir):
        server = pid_of(cluster)

        assert os.getsid(server) != os.getsid(0)
        assert os.getpgid(server) != os.getpgid(0)


async def test_the_server_inherits_its_lock_and_its_log_only(data_dir: Path, cluster: Path) -> None:
    ours = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(ours, True)  # noqa: FBT003 (positional-only)
    try:
        async with EmbeddedPostgres(data_dir):
            held = descriptors_of(pid_of(cluster))
    finally:
        os.close(ours)

    assert Path("/dev/zero") not in held
    assert {path for path in held if path.parent == data_dir} == {
        data_dir / "postgres.server.lock",
        data_dir / "postgres.log",
    }


async def test_the_server_sees_none_of_our_environment(
    data_dir: Path, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIVER_SIGNING_KEYS", "a-secret-of-ours")
    monkeypatch.setenv("PGPORT", "1")

    async with EmbeddedPostgres(data_dir):
        environment = environment_of(pid_of(cluster))

    assert b"RECEIVER" not in environment
    assert b"PGPORT" not in environment


async def test_an_event_loop_of_uvloop_will_do(data_dir: Path) -> None:
    script = (
        "import sys, uvloop\n"
        "from pathlib import Path\n"
        "from app.embedded import EmbeddedPostgres\n"
        "async def use():\n"
        "    async with EmbeddedPostgres(Path(sys.argv[1])): print('answers')\n"
        "uvloop.run(use())"
    )
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(data_dir)],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert child.stdout == "answers\n"


async def test_the_files_beside_the_cluster_are_ours_alone(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir):
        beside = names_in(data_dir) - {"postgres"}

    assert len(beside) == 5
    assert {mode_of(data_dir / name) for name in beside} == {0o600}


async def test_rows_do_not_reach_the_log(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        await ask(url, "CREATE TABLE people (number text PRIMARY KEY)")
        await ask(url, "INSERT INTO people VALUES ('+306912345678')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(url, "INSERT INTO people VALUES ('+306912345678')")

    log = log_of(data_dir)
    assert "duplicate key" in log
    assert "306912345678" not in log


async def test_nothing_is_listening_on_tcp_unless_a_port_is_given(
    data_dir: Path, unused_tcp_port: int
) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SHOW listen_addresses") == ""

    async with EmbeddedPostgres(data_dir, port=unused_tcp_port) as url:
        assert await ask(url, "SHOW listen_addresses") == "127.0.0.1"
        over_tcp = url.partition("host=")[0] + f"host=127.0.0.1&port={unused_tcp_port}"
        assert await ask(over_tcp, "SELECT 1") == 1


async def test_a_server_without_other_users_is_restarted_with_the_port(
    data_dir: Path, unused_tcp_port: int, start_user: StartUser
) -> None:
    user = start_user()
    user.url()
    user.kill()

    async with EmbeddedPostgres(data_dir, port=unused_tcp_port) as url:
        assert await ask(url, "SHOW port") == str(unused_tcp_port)


async def test_a_user_without_a_port_joins_any_server(data_dir: Path, unused_tcp_port: int) -> None:
    with_port = EmbeddedPostgres(data_dir, port=unused_tcp_port)

    async with with_port as first, EmbeddedPostgres(data_dir) as second:
        assert first == second


async def test_a_port_is_refused_while_others_use_the_server_without(
    data_dir: Path, unused_tcp_port: int
) -> None:
    async with EmbeddedPostgres(data_dir) as url:
        with pytest.raises(DatabaseUnavailable, match="RECEIVER_EMBEDDED_PORT"):
            await EmbeddedPostgres(data_dir, port=unused_tcp_port).acquire()

        assert await ask(url, "SELECT 1") == 1


async def test_a_frozen_server_is_left_to_end_and_can_be_used_again(
    data_dir: Path, cluster: Path
) -> None:
    said: list[str] = []
    server = EmbeddedPostgres(data_dir, on_progress=said.append, stop_seconds=0.5)
    await server.acquire()
    postmaster = pid_of(cluster)
    os.kill(postmaster, signal.SIGSTOP)
    try:
        async with asyncio.timeout(30):
            await server.release()
        assert runs(data_dir)
    finally:
        os.kill(postmaster, signal.SIGCONT)
    assert said[-1] == "PostgreSQL does not stop, and is not waited for any longer."
    async with EmbeddedPostgres(data_dir) as url:
        assert await ask(url, "SELECT 1") == 1
        assert pid_of(cluster) != postmaster
    assert not runs(data_dir)
