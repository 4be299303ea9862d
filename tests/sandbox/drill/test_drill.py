"""The drill is green for the service, and red for one that breaks a promise, whichever it is."""

from pathlib import Path

import pytest

from app.sandbox.drill.modes import MODES
from app.sandbox.drill.run import Drill, DrillOptions, Report, scratch_folder
from tests.sandbox.drill.broken import build

_LOST = "acknowledged-is-stored"
#: How a build is broken, what has to happen for it to show, and the oracle that sees it.
BROKEN = [
    ("acknowledge before the commit", {"postgres killed"}, _LOST),
    ("synchronous_commit = off", {"postgres killed"}, _LOST),
    ("synchronous_commit = off", {"ingest sessions cut"}, "durability-configured"),
    ("identity by message and status alone", {"ingest sessions cut"}, _LOST),
    ("count twice", {"ingest sessions cut"}, "counts-equal-a-recount"),
    ("feed by id", {"session frozen", "overload burst"}, "feed-neither-skips-nor-repeats"),
    ("quarantine dropped", {"garbage burst"}, _LOST),
]


async def _report(options: DrillOptions, tmp_path: Path) -> Report:
    with scratch_folder(tmp_path) as folder:
        return await Drill(options, folder).run()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
async def test_a_minute_of_failures_breaks_no_promise(mode: str, tmp_path: Path) -> None:
    options = DrillOptions(mode=mode, minutes=1, callbacks_per_second=300)
    report = await _report(options, tmp_path)
    assert report.holds, [one for one in report.findings if not one.holds]
    assert report.course.faults
    assert report.totals.recovered
    assert report.totals.lost == report.totals.wrong == report.totals.unexpected == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "faults", "oracle"), BROKEN)
async def test_a_broken_build_is_seen(
    how: str, faults: set[str], oracle: str, tmp_path: Path
) -> None:
    options = DrillOptions(
        minutes=0.4,
        callbacks_per_second=300,
        build=build(how),
        faults=frozenset(faults),
        calm_seconds=(1.0, 3.0),
    )
    report = await _report(options, tmp_path)
    _assert_seen(report, oracle)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_publish_that_is_acknowledged_without_waiting_is_seen(tmp_path: Path) -> None:
    options = DrillOptions(
        mode="buffered",
        minutes=0.4,
        callbacks_per_second=300,
        build=build("acknowledge a publish without its acknowledgement"),
        faults=frozenset({"nats server killed", "nats server frozen"}),
        calm_seconds=(1.0, 3.0),
    )
    _assert_seen(await _report(options, tmp_path), _LOST)


def _assert_seen(report: Report, oracle: str) -> None:
    assert oracle in {one.oracle for one in report.findings if not one.holds}
