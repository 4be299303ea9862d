import asyncio
import os
from pathlib import Path

import pytest

from app.embedded.process_files import (
    FileLock,
    PidFile,
    WaitReporter,
    find_pid_file,
    find_recorded_pid,
    is_held,
    locked_exclusively,
    parse_pid_file,
    works_in,
)
from app.errors import ConfigurationError

COMPLETE = "4711\n/data\n1700000000\n5433\n/tmp/sockets\n127.0.0.1\n 12345 67\nready   \n"


def ignore(_message: str) -> None:
    pass


async def test_a_wait_for_the_lock_is_reported_and_does_not_block_the_loop(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    messages: list[str] = []

    async def wait() -> None:
        async with locked_exclusively(path, WaitReporter(messages.append)):
            pass

    async with locked_exclusively(path, WaitReporter(ignore)):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(2.3)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 2)

    assert messages == ["Another process is starting or stopping PostgreSQL (2 s)"]


async def test_a_caller_that_stops_waiting_never_gets_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    async def wait() -> None:
        async with locked_exclusively(path, WaitReporter(ignore)):
            pass

    async with locked_exclusively(path, WaitReporter(ignore)):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert not is_held(path)


def test_a_shared_lock_becomes_exclusive_for_its_last_holder(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    assert first.try_shared()
    assert second.try_shared()
    assert not first.try_exclusive()
    first.close()
    assert second.try_exclusive()
    second.close()


def test_a_symlink_is_no_lock_file(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "target")

    with pytest.raises(ConfigurationError, match="RECEIVER_DATA_DIR must belong to"):
        FileLock(tmp_path / "lock")

    assert not (tmp_path / "target").exists()


def test_a_complete_pid_file_says_how_to_reach_the_server() -> None:
    assert parse_pid_file(COMPLETE) == PidFile(
        pid=4711,
        port=5433,
        tcp_address="127.0.0.1",
        status="ready",
        identity=("4711", "/data", "1700000000"),
    )


def test_an_incomplete_pid_file_is_none() -> None:
    lines = COMPLETE.splitlines(keepends=True)

    assert {parse_pid_file("".join(lines[:count])) for count in range(len(lines))} == {None}


def test_without_a_pid_file_there_is_no_pid(tmp_path: Path) -> None:
    assert find_pid_file(tmp_path) is None
    assert find_recorded_pid(tmp_path) is None


def test_the_pid_of_a_single_user_server_is_recorded_with_a_minus(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("-4711\n")

    assert find_recorded_pid(tmp_path) == 4711


def test_a_process_works_where_its_working_directory_is(tmp_path: Path) -> None:
    assert works_in(os.getpid(), Path.cwd())
    assert not works_in(os.getpid(), tmp_path)
