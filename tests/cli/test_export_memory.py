"""An export takes as much memory for two hundred thousand rows as for two thousand."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

FEW, MANY = 2_000, 200_000
#: What a larger export may take more: chunks under way, and what the allocator keeps.
_MORE_KIB = 40_000
_MEASURED = """
import json, pathlib, re, resource, sys
from app.cli import app

def peak_kib():
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # Linux lets ru_maxrss begin with that of who started the process
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak

try:
    app(["export", *sys.argv[1:]])
except SystemExit as end:
    print(json.dumps([end.code, peak_kib()]))
"""


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"""
        INSERT INTO events (
            message_tracking_id, status_key, provider_status, status_rank, source, description,
            occurred_at, received_at, recipient, price, payload
        )
        SELECT md5(n::text), 'SENT', 'SENT', 2, 0, 'description of ' || n,
            timestamptz '2026-07-01Z' + n * interval '1 second',
            timestamptz '2026-07-01Z' + n * interval '1 second',
            '+306900000000', 0.035, 'x'
        FROM generate_series(1, {MANY}) AS n
    """)  # noqa: S608
    await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
def test_memory_does_not_grow_with_the_rows(
    url: str, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    asyncio.run(_fill(url))
    until = f"2026-07-01T00:{FEW // 60:02}:{FEW % 60 + 1:02}"
    few = _peak_kib("events", "-f", format_, "-o", str(tmp_path / "few"), "--until", until)
    many = _peak_kib("events", "-f", format_, "-o", str(tmp_path / "many"))
    print(f"{format_}: {few} KiB for {FEW} rows, {many} KiB for {MANY}")  # noqa: T201
    assert many - few < _MORE_KIB
    assert _bytes_in(tmp_path / "many") > 20 * _bytes_in(tmp_path / "few")


def _peak_kib(*arguments: str) -> int:
    command = [sys.executable, "-c", _MEASURED, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, timeout=300)  # noqa: S603
    code, peak = json.loads(done.stdout)
    assert code == 0, done.stderr
    return int(peak)


def _bytes_in(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(file.stat().st_size for file in files)
