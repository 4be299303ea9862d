import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.bench import wrk

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not wrk.is_installed(), reason="wrk is not installed")
async def test_one_short_round_loses_nothing_and_writes_its_figures(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    arguments = ("--rounds=1", "--seconds=1", f"--output={output}")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    document = json.loads(output.read_text())
    assert document["faults"] == []
    assert {"ours_to_bare", "followed_to_ours"} <= document["figures"].keys()
    assert all(len(figure["rounds"]) == 1 for figure in document["figures"].values())
    assert document["rounds"][0]["ours"]["stored"]["rows"] > 0


async def test_without_wrk_it_says_how_to_install_it() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench",
        cwd=ROOT,
        env={"PATH": "/nonexistent"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 2
    assert b"apt-get install wrk" in said
