import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.bench import wrk
from tests.bench.__main__ import GROUPS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Without those of PostgREST, which may not be had everywhere.
FIGURES = {
    "ours_to_bare",
    "same_to_bare",
    "personal_to_bare",
    "personal_to_same",
    "personal_to_before",
    "ours_to_idiomatic",
    "ours_to_statement",
    "followed_to_ours",
    "answered_at_twice_the_load",
    "latency_512_p999_ms",
    "memory_peak_mb",
    "statistics_postgres_cpu",
    "two_workers_to_one",
    "snapshot_to_free",
    "beside_dashboards",
}

#: Without Bento, which may have to be built first.
CONTENDERS = ("bare", "ours", "same", "personal", "followed", "postgrest", "idiomatic", "statement")


async def _benched(*arguments: str, **environment: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.timeout(600)
@pytest.mark.skipif(not wrk.is_installed(), reason="wrk is not installed")
async def test_one_short_round_loses_nothing_and_writes_its_figures(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    groups = (
        "latency",
        "overload",
        "memory",
        "statistics",
        "workers",
        "snapshot",
        "beside_dashboards",
    )
    names = (*CONTENDERS, *groups, "--against=HEAD")
    code, said = await _benched("--rounds=1", "--seconds=1", f"--output={output}", *names)
    assert code == 0, said
    document = json.loads(output.read_text())
    assert document["faults"] == []
    assert document["figures"].keys() >= FIGURES
    assert all(len(figure["rounds"]) == 1 for figure in document["figures"].values())
    assert document["details"]["contenders"][0]["ours"]["stored"]["rows"] > 0


async def test_without_wrk_it_says_how_to_install_it() -> None:
    code, said = await _benched(PATH="/nonexistent")
    assert code == 2
    assert "apt-get install wrk" in said


async def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    code, said = await _benched("--only=nobody")
    assert code == 2
    assert "nobody" in said
    assert "postgrest" in said


async def test_another_revision_has_to_be_named() -> None:
    code, said = await _benched("before")
    assert code == 2
    assert "--against" in said


async def test_help_names_each_group() -> None:
    code, said = await _benched("--help")
    assert code == 0
    assert all(group.name in said and group.says in said for group in GROUPS)
