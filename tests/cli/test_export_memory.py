"""An export takes no more memory for many rows than for few, also if each row is long."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.database import connect

T0 = datetime(2026, 7, 1, tzinfo=UTC)


class Case(NamedTuple):
    """A table with few or many rows, each a second after the one before."""

    table: str
    few: int
    many: int
    #: Inserts `$1` of them.
    insert: str


CASES = (
    Case(
        "events",
        2_000,
        200_000,
        """
        INSERT INTO events (
            message_tracking_id, status_key, provider_status, source, description,
            occurred_at, received_at, recipient, price, payload
        )
        SELECT md5(n::text), 'SENT', 'SENT', 0, 'description of ' || n, at, at,
            '+306900000000', 0.035, 'x'
        FROM generate_series(1, $1::int) AS n,
            LATERAL (VALUES (timestamptz '2026-07-01Z' + n * interval '1 second')) AS v (at)
        """,
    ),
    # A row has a thousand recipients twice: in `to` and in `contacts`.
    Case(
        "campaigns",
        100,
        2_000,
        """
        INSERT INTO campaigns (id, tracking_id, submission, answer, created_at)
        SELECT uuidv7(), md5(n::text), 'launched', (
                SELECT convert_to(jsonb_build_object('to', jsonb_agg(number), 'contacts', jsonb_agg(
                    jsonb_build_object('mobile', number, 'name', md5(number))
                ))::text, 'UTF8')
                FROM (
                    SELECT '+' || 306900000000 + n * 1000 + r FROM generate_series(1, 1000) AS r
                ) AS v (number)
            ), timestamptz '2026-07-01Z' + n * interval '1 second'
        FROM generate_series(1, $1::int) AS n
        """,
    ),
    # The longest text that Viber allows.
    Case(
        "inbound-messages",
        1_000,
        20_000,
        """
        INSERT INTO inbound_messages (identity, message, received_at)
        SELECT n::text::bytea, left(repeat(md5(n::text), 220), 7000),
            timestamptz '2026-07-01Z' + n * interval '1 second'
        FROM generate_series(1, $1::int) AS n
        """,
    ),
)
#: By how much a larger export may exceed a smaller one: buffered chunks, and freed memory.
_MORE_KIB = 40_000
_MEASURED = """
import json, pathlib, re, resource, sys
from app.cli import app
from tests.database import connect

def peak_kib():
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss begins with that of the parent
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak

try:
    app(["export", *sys.argv[1:]])
except SystemExit as end:
    print(json.dumps([end.code, peak_kib()]))
"""


async def _fill(url: str, case: Case) -> None:
    connection = await connect(url)
    try:
        await connection.execute(case.insert, case.many)
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.table)
def test_memory_does_not_grow_with_the_rows(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case, format_: str
) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    asyncio.run(_fill(url, case))
    until = (T0 + timedelta(seconds=case.few + 1)).isoformat()
    few = _peak_kib(case.table, "-f", format_, "-o", str(tmp_path / "few"), "--until", until)
    many = _peak_kib(case.table, "-f", format_, "-o", str(tmp_path / "many"))
    print(f"{case.table}, {format_}: {few} KiB for {case.few}, {many} KiB for {case.many}")  # noqa: T201
    assert many - few < _MORE_KIB
    assert _bytes_in(tmp_path / "many") > 15 * _bytes_in(tmp_path / "few")


def _peak_kib(*arguments: str) -> int:
    command = [sys.executable, "-c", _MEASURED, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, timeout=300)  # noqa: S603
    code, peak = json.loads(done.stdout)
    assert code == 0, done.stderr
    return int(peak)


def _bytes_in(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(file.stat().st_size for file in files)
