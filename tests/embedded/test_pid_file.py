import os
from pathlib import Path

from app.embedded.pid_file import (
    PidFile,
    find_pid_file,
    find_recorded_pid,
    parse_pid_file,
    works_in,
)

COMPLETE = "4711\n/data\n1700000000\n5433\n/tmp/sockets\n127.0.0.1\n 12345 67\nready   \n"


def test_a_complete_file_tells_how_to_reach_the_server() -> None:
    assert parse_pid_file(COMPLETE) == PidFile(
        pid=4711,
        port=5433,
        tcp_address="127.0.0.1",
        status="ready",
        identity=("4711", "/data", "1700000000"),
    )


def test_a_file_that_is_still_being_written_tells_nothing() -> None:
    lines = COMPLETE.splitlines(keepends=True)

    assert {parse_pid_file("".join(lines[:count])) for count in range(len(lines))} == {None}


def test_no_file_means_no_server(tmp_path: Path) -> None:
    assert find_pid_file(tmp_path) is None
    assert find_recorded_pid(tmp_path) is None


def test_the_pid_of_a_single_user_server_is_recorded_with_a_minus(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("-4711\n")

    assert find_recorded_pid(tmp_path) == 4711


def test_a_process_works_where_its_working_directory_is(tmp_path: Path) -> None:
    assert works_in(os.getpid(), Path.cwd())
    assert not works_in(os.getpid(), tmp_path)
