import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.db.exports import ExportTable
from tests.database import connect
from tests.services.exports.export_stage import CAMPAIGN, checksum, fill, read_csv, stored_checksum


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(autouse=True)
def _settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)


@pytest.fixture(name="filled")
def _filled(url: str) -> str:
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    connection = await connect(url)
    await fill(connection)
    await connection.close()


async def _stored(url: str, table: ExportTable) -> tuple[int, str]:
    connection = await connect(url)
    try:
        return await stored_checksum(connection, table)
    finally:
        await connection.close()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_a_file_of_all_events(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    result = run("events", "--cells", "exact", "--output", file)
    assert result.exit_code == 0, result.output
    assert "Exported 19 rows of events." in result.stderr
    rows = read_csv(file.read_bytes())
    assert checksum(ExportTable.EVENTS, rows) == asyncio.run(_stored(filled, ExportTable.EVENTS))
    assert names(tmp_path) == ["events.csv"]


def test_standard_output_has_the_rows_and_nothing_else(filled: str) -> None:
    del filled
    result = run("messages", "--format", "ndjson", "--campaign", CAMPAIGN, "-o", "-")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.split("\n")[:-1]]
    assert {row["campaignTrackingId"] for row in rows} == {CAMPAIGN}


def test_numbers_are_masked_when_asked(filled: str) -> None:
    del filled
    assert "+306900000123" in run("inbound-messages", "-o", "-").stdout
    masked = run("inbound-messages", "--mask-numbers", "-o", "-").stdout
    assert "900000123" not in masked
    assert "***123" in masked


def test_times_without_an_offset_are_utc(filled: str) -> None:
    del filled
    since = ("--since", "2026-07-05T10:28:44.566001")
    until = ("--until", "2026-07-05T11:28:44.566001+01:00")
    assert "Exported 19 rows" in run("events", *since, "-o", "-").stderr
    assert "Exported 0 rows" in run("events", *until, "-o", "-").stderr


def test_days_of_parquet(filled: str, tmp_path: Path) -> None:
    dataset = pytest.importorskip("pyarrow.dataset", reason="the extra parquet is not installed")
    folder = tmp_path / "messages"
    result = run("messages", "-f", "parquet", "-o", folder)
    assert result.exit_code == 0, result.output
    rows = dataset.dataset(folder, partitioning="hive").to_table().to_pylist()
    stored = asyncio.run(_stored(filled, ExportTable.MESSAGES))
    assert checksum(ExportTable.MESSAGES, rows) == stored
    again = run("messages", "-f", "parquet", "-o", folder)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("messages", "-f", "parquet", "-o", tmp_path / "days")
    assert result.exit_code == 1
    assert "pip install 'routee-receiver[parquet]'" in result.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("everything", "-o", "-"),
        ("messages",),
        ("messages", "-o", "-", "-f", "xlsx"),
        ("messages", "-o", "-", "-f", "parquet"),
        ("messages", "-o", "-", "--since", "yesterday"),
        ("messages", "-o", "-", "--since", "2026-07-02", "--until", "2026-07-01"),
    ],
)
def test_a_wrong_command_has_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_an_unreachable_database_is_1_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql://receiver@127.0.0.1:9/nothing")
    result = run("messages", "-o", tmp_path / "messages.csv")
    assert result.exit_code == 1
    assert "routee-receiver: PostgreSQL at " in result.stderr
    assert names(tmp_path) == []


def test_a_query_that_fails_half_way_leaves_no_file(filled: str, tmp_path: Path) -> None:
    asyncio.run(_break(filled))
    result = run("inbound-messages", "-o", tmp_path / "replies.csv")
    assert result.exit_code == 1
    assert "routee-receiver: DivisionByZeroError" in result.stderr
    assert names(tmp_path) == []


async def _break(url: str) -> None:
    """Make reading the last row fail."""
    connection = await connect(url)
    await connection.execute("""
        INSERT INTO inbound_messages (identity)
            SELECT n::text::bytea FROM generate_series(1000, 5000) AS n;
        ALTER TABLE inbound_messages RENAME TO kept;
        CREATE FUNCTION failing(n bigint, most bigint) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RETURN 1 / (most - n) > -1; END $$;
        CREATE VIEW inbound_messages AS SELECT kept.* FROM kept, (SELECT max(id) FROM kept) AS m
            WHERE failing(id, m.max);
    """)
    await connection.close()


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_no_file_and_is_no_success(
    filled: str, tmp_path: Path, ending: signal.Signals, code: int
) -> None:
    asyncio.run(_slow(filled))
    file = tmp_path / "replies.csv"
    with exporting("inbound-messages", "-o", file) as process:
        deadline = time.monotonic() + 20
        while not names(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert names(tmp_path) == ["replies.csv.partial"]
        time.sleep(0.5)  # so that it waits for the first row
        process.send_signal(ending)
        assert process.wait(timeout=20) == code
    assert names(tmp_path) == []


async def _slow(url: str) -> None:
    connection = await connect(url)
    await connection.execute("""
        ALTER TABLE inbound_messages RENAME TO kept;
        CREATE VIEW inbound_messages AS SELECT kept.* FROM kept, pg_sleep(300);
    """)
    await connection.close()


#: With the signals of a terminal: a test run in the background may ignore some of them.
_PROGRAM = """
import signal
from app.cli import main
from tests.database import connect
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def exporting(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
    program = [sys.executable, "-c", _PROGRAM, "export"]
    return subprocess.Popen(  # noqa: S603
        [*program, *map(str, arguments)], stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_ctrl_c_leaves_nothing(filled: str, tmp_path: Path, format_: str) -> None:
    asyncio.run(_slow(filled))
    with exporting("inbound-messages", "-f", format_, "-o", tmp_path / "replies") as process:
        deadline = time.monotonic() + 20
        while not names(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert names(tmp_path) == ["replies.partial"]
        time.sleep(0.5)  # so that it waits for the first row
        process.send_signal(signal.SIGINT)
        _, written = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in written
    assert names(tmp_path) == []


def test_a_reader_that_closes_the_pipe_causes_no_message(filled: str) -> None:
    asyncio.run(_many(filled))
    with exporting("inbound-messages", "-o", "-", stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(100)
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(timeout=20) == 1


async def _many(url: str) -> None:
    connection = await connect(url)
    await connection.execute(
        "INSERT INTO inbound_messages (identity, message) "
        "SELECT n::text::bytea, repeat('x', 1000) FROM generate_series(1000, 5000) AS n"
    )
    await connection.close()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_of_one_line(filled: str) -> None:
    del filled
    with (
        Path("/dev/full").open("wb") as full,
        exporting("events", "-o", "-", stdout=full) as process,
    ):
        _, written = process.communicate(timeout=20)
    assert process.returncode == 1
    assert (
        written == b"routee-receiver: Standard output cannot be written: No space left on device.\n"
    )


def test_the_last_line_is_where_the_next_export_begins(url: str) -> None:
    asyncio.run(_many(url))
    first = run("inbound-messages", "-f", "ndjson", "-o", "-")
    assert "Exported 4,001 rows" in first.stderr
    last = first.stderr.splitlines()[-1]
    match = re.match(r"Complete until (\S+Z): that is the --since of the next export\.", last)
    assert match
    assert last.endswith("Rows after that, if any, are exported again then.")
    second = run("inbound-messages", "--since", match[1], "-o", "-")
    assert "Exported 4,001 rows" in second.stderr
    whole = run("inbound-messages", "--until", "2026-07-01", "-o", "-").stderr.splitlines()[-1]
    assert whole == ("Complete until 2026-07-01T00:00:00Z: that is the --since of the next export.")


def test_an_export_without_rows_is_a_readable_folder(url: str, tmp_path: Path) -> None:
    del url
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    folder = tmp_path / "events"
    result = run("events", "-f", "parquet", "--since", "2026-07-01T22:00-03:00", "-o", folder)
    assert result.exit_code == 0, result.output
    assert names(folder) == ["day=2026-07-02"]
    assert parquet.read_table(folder / "day=2026-07-02" / "part-0.parquet").num_rows == 0


def test_the_help_explains_times_files_and_exit_codes() -> None:
    shown = " ".join(CliRunner().invoke(app, ["export", "--help"]).output.split())
    for word in (
        "occurredAt",
        "bi_v1",
        "complete",
        "updatedAt",
        "receivedAt",
        "recordedAt",
        "partial",
        "Exit codes",
        "[parquet]",
    ):
        assert word in shown, word
