import json

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from tests.docs.pages import ROOT


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["capacity", *arguments])


def _figures(*arguments: str) -> dict[str, float]:
    result = _run("--per-day", "2000000", *arguments, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert all(row["because"] for row in rows)
    return {f"{row['part']}: {row['name']}": row["value"] for row in rows}


def test_the_sums_are_those_of_their_parts() -> None:
    found = _figures("--processes", "3", "--analysts", "0")
    assert (found["rate: average"], found["rate: peak"]) == (23.1, 231.5)
    disk = sum(value for name, value in found.items() if name.startswith("disk: "))
    assert disk == pytest.approx(2 * found["disk: total"], abs=1)
    #: docs/performance.md: 973 bytes an event at ten million, all included.
    tables = found["disk: total"] - found["disk: headroom"] - found["disk: WAL"]
    assert tables * 1e9 / (2_000_000 * 365.25) == pytest.approx(977, abs=5)
    each = ("callbacks", "replays of the quarantine", "API and duties", "lists", "feed", "exports")
    own = sum(found[f"connections: {name}"] for name in each)
    once = ("purging", "erasing", "reconciling", "abandoned commits")
    shared = sum(found[f"connections: {name}"] for name in once)
    assert found["connections: total"] == 3 * own + shared + 20


def test_retention_shortens_what_it_removes_and_nothing_else() -> None:
    whole = _figures("--months", "12")
    short = _figures("--months", "12", "--retention-raw-days", "36")
    assert short["disk: payloads"] == pytest.approx(whole["disk: payloads"] * 36 / 365.25, abs=0.1)
    assert short["disk: events"] == whole["disk: events"]
    events = _figures("--months", "12", "--retention-events-days", "36")
    assert events["disk: payloads"] == short["disk: payloads"]
    assert events["disk: counts and roll-ups"] == whole["disk: counts and roll-ups"]


def test_the_page_shows_what_the_command_says() -> None:
    page = (ROOT / "docs" / "capacity.md").read_text()
    for found in (_figures(), _figures("--retention-raw-days", "90")):
        base, archive = found["backup: base backups"], found["backup: WAL archive"]
        assert f" {found['disk: total']:.0f} GB" in page
        assert f" {archive:.0f} GB, {base:,.0f} GB" in page
        assert f" {found['connections: total']:.0f} |" in page
        assert f" {found['memory: database']:.0f} GB, {found['memory: service']} GB" in page


def test_too_few_connections_are_named() -> None:
    result = _run("--per-day", "100", "--processes", "20")
    assert "max_connections is 200: TOO FEW" in result.stdout
    enough = _run("--per-day", "100", "--processes", "20", "--max-connections", "1000")
    assert "max_connections is 1000: enough" in enough.stdout


def test_a_load_that_makes_no_sense_is_refused() -> None:
    assert _run("--per-day", "0").exit_code == 2
    assert _run().exit_code == 2
