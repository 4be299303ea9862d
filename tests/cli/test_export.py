import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.db.exports import ExportTable
from tests.services.export_stage import CAMPAIGN, checksum, fill, read_csv, stored_checksum


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
    connection = await asyncpg.connect(url)
    await fill(connection)
    await connection.close()


async def _stored(url: str, table: ExportTable) -> tuple[int, str]:
    connection = await asyncpg.connect(url)
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
    ],
)
def test_a_wrong_command_is_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_database_that_is_away_is_1_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    result = run("messages", "-o", tmp_path / "messages.csv")
    assert result.exit_code == 1
    assert "routee-receiver: The database does not answer" in result.stderr
    assert names(tmp_path) == []


def test_a_query_that_fails_half_way_leaves_no_file(filled: str, tmp_path: Path) -> None:
    asyncio.run(_break(filled))
    result = run("inbound-messages", "-o", tmp_path / "replies.csv")
    assert result.exit_code == 1
    assert "routee-receiver: DivisionByZeroError" in result.stderr
    assert names(tmp_path) == []


async def _break(url: str) -> None:
    """Let the last row fail."""
    connection = await asyncpg.connect(url)
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


def test_sigterm_leaves_no_file_and_is_no_success(filled: str, tmp_path: Path) -> None:
    asyncio.run(_slow(filled))
    command = [
        sys.executable,
        "-c",
        "from app.cli import main; main()",
        "export",
        "inbound-messages",
    ]
    file = tmp_path / "replies.csv"
    with subprocess.Popen([*command, "-o", str(file)]) as exporting:  # noqa: S603
        deadline = time.monotonic() + 20
        while not names(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert names(tmp_path) == ["replies.csv.partial"]
        time.sleep(0.5)  # so that it waits for the first row
        exporting.terminate()
        assert exporting.wait(timeout=20) == 143
    assert names(tmp_path) == []


async def _slow(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("""
        ALTER TABLE inbound_messages RENAME TO kept;
        CREATE VIEW inbound_messages AS SELECT kept.* FROM kept, pg_sleep(300);
    """)
    await connection.close()


def test_the_help_teaches() -> None:
    shown = " ".join(CliRunner().invoke(app, ["export", "--help"]).output.split())
    for word in ("updatedAt", "receivedAt", "recordedAt", "partial", "Exit codes", "[parquet]"):
        assert word in shown, word
