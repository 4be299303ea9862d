"""The units of deploy/systemd, as systemd reads them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from app.kit.shutdown import MOST_SECONDS

UNITS: Final = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
#: Of ten; docs/deployment.md has the figure.
MOST_EXPOSURE: Final = 1.4
_PROGRAM: Final = "/opt/routee-receiver/bin/routee-receiver"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture(params=UNITS, ids=lambda unit: unit.name)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit whose program is one that exists here."""
    source: Path = request.param
    text = source.read_text()
    assert _PROGRAM in text
    copy = tmp_path / source.name
    copy.write_text(text.replace(_PROGRAM, sys.executable))
    return copy


def _analysed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 (a fixed command)
        ["systemd-analyze", *arguments],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_systemd_finds_no_fault_in_a_unit(unit: Path) -> None:
    ended = _analysed("verify", "--man=no", str(unit))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_unit_is_hardened(unit: Path) -> None:
    ended = _analysed("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for .*: ([\d.]+)", ended.stdout)
    assert found, ended.stdout + ended.stderr
    assert float(found[1]) <= MOST_EXPOSURE


def test_a_unit_gives_the_service_time_to_end(unit: Path) -> None:
    given = re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
    assert given
    assert int(given[1]) > MOST_SECONDS
