"""
Released names stay: those of metrics until a version that may break, those of `bi_v1` for good.

What the API's documents promise is compared in tests/openapi/test_breaking.py.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.openapi.breaking import needs_new_version
from tests.released.__main__ import DOCUMENTS, unready, write
from tests.released.names import (
    RELEASED,
    column_breaks,
    file_breaks,
    metric_breaks,
    metric_names,
    migration_files,
    releases,
    view_columns,
)

Change = Callable[[dict[str, Any]], object]

METRICS = {
    "jobs_total": {"type": "counter", "labels": ["kind", "result"]},
    "waiting": {"type": "gauge", "labels": []},
}
VIEWS = {
    "jobs": {"id": "text", "began_at": "timestamp with time zone"},
    "sums": {"jobs": "bigint"},
}
METRIC_BREAKS: dict[str, tuple[Change, str]] = {
    "a metric removed": (lambda now: now.pop("waiting"), "waiting: removed"),
    "a metric renamed": (
        lambda now: now.update(jobs_waiting=now.pop("waiting")),
        "waiting: removed",
    ),
    "another type": (
        lambda now: now["waiting"].update(type="histogram"),
        "waiting: gauge became histogram",
    ),
    "a label removed": (
        lambda now: now["jobs_total"].update(labels=["kind"]),
        "jobs_total: label result removed",
    ),
    "a label renamed": (
        lambda now: now["jobs_total"].update(labels=["kind", "outcome"]),
        "jobs_total: label result removed",
    ),
}
METRIC_ADDITIONS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a metric": lambda now: now.update(more={"type": "gauge", "labels": []}),
    "a label": lambda now: now["waiting"].update(labels=["queue"]),
    "another order of labels": lambda now: now["jobs_total"].update(labels=["result", "kind"]),
}
COLUMN_BREAKS: dict[str, tuple[Change, str]] = {
    "a view removed": (lambda now: now.pop("sums"), "sums: removed"),
    "a view renamed": (lambda now: now.update(totals=now.pop("sums")), "sums: removed"),
    "a column removed": (lambda now: now["jobs"].pop("id"), "jobs.id: removed"),
    "a column renamed": (
        lambda now: now["jobs"].update(job_id=now["jobs"].pop("id")),
        "jobs.id: removed",
    ),
    "another type": (
        lambda now: now["sums"].update(jobs="integer"),
        "sums.jobs: bigint became integer",
    ),
}
COLUMN_ADDITIONS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a view": lambda now: now.update(more={"id": "text"}),
    "a column": lambda now: now["sums"].update(seconds="double precision"),
}


@pytest.mark.parametrize("name", METRIC_BREAKS)
def test_a_broken_metric_is_noticed(name: str) -> None:
    change, found = METRIC_BREAKS[name]
    now = deepcopy(METRICS)
    change(now)
    assert metric_breaks(METRICS, now) == [found]


@pytest.mark.parametrize("name", METRIC_ADDITIONS)
def test_metrics_and_labels_may_be_added(name: str) -> None:
    now = deepcopy(METRICS)
    METRIC_ADDITIONS[name](now)
    assert metric_breaks(METRICS, now) == []


@pytest.mark.parametrize("name", COLUMN_BREAKS)
def test_a_broken_view_is_noticed(name: str) -> None:
    change, found = COLUMN_BREAKS[name]
    now = deepcopy(VIEWS)
    change(now)
    assert column_breaks(VIEWS, now) == [found]


@pytest.mark.parametrize("name", COLUMN_ADDITIONS)
def test_views_and_columns_may_be_added(name: str) -> None:
    now = deepcopy(VIEWS)
    COLUMN_ADDITIONS[name](now)
    assert column_breaks(VIEWS, now) == []


def test_a_file_that_made_views_may_not_change_and_others_may_come() -> None:
    files = {"bi_v1/jobs.sql": "1"}
    assert file_breaks(files, files | {"bi_v1/more.sql": "2"}) == []
    assert file_breaks(files, {"bi_v1/jobs.sql": "2"}) == ["bi_v1/jobs.sql: changed"]


async def test_a_made_up_release_is_written_once_and_holds_what_is_here(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    columns = await view_columns(connection)
    for release in ("0.9.0", "0.10.0"):
        write(release, columns, tmp_path)
    assert {path.name for path in (tmp_path / "0.9.0").iterdir()} == {
        *DOCUMENTS,
        "metrics.json",
        "bi_v1.json",
    }
    assert list(releases("metrics.json", tmp_path)) == ["0.9.0", "0.10.0"]
    for metrics in releases("metrics.json", tmp_path).values():
        assert "receiver_callbacks_total" in metrics
        assert metric_breaks(metrics, metric_names()) == []
    for views in releases("bi_v1.json", tmp_path).values():
        assert "message_tracking_id" in views["columns"]["messages"]
        assert column_breaks(views["columns"], columns) == []
        assert file_breaks(views["files"], migration_files()) == []
    with pytest.raises(FileExistsError):
        write("0.9.0", columns, tmp_path)


@pytest.mark.parametrize(
    ("release", "changelog", "reason"),
    [
        ("1.2.3", "# Changelog\n\n## [1.2.3] - 2026-12-24\n", ""),
        ("1.2.3", "# Changelog\n\n## [Unreleased]\n", "CHANGELOG.md has no heading"),
        ("1.2.4", "## [1.2.4] - 2026-12-24\n", "pyproject.toml says 1.2.3"),
        ("", "", "Name the version"),
        ("../x", "", "Name the version"),
    ],
)
def test_files_are_written_of_a_version_that_says_so_only(
    release: str, changelog: str, reason: str
) -> None:
    found = unready(release, own="1.2.3", changelog=changelog)
    assert found.startswith(reason)
    assert bool(found) is bool(reason)


def test_no_released_metric_is_broken_unless_the_version_says_so() -> None:
    """Holds the metrics to those of the last release, once there is one."""
    found = releases("metrics.json")
    if not found:
        pytest.skip("nothing has been released yet")
    former, metrics = list(found.items())[-1]
    if needs_new_version(former, version("routee-receiver")):
        assert metric_breaks(metrics, metric_names()) == []


async def test_no_released_view_is_broken_in_any_version(connection: asyncpg.Connection) -> None:
    """What has to change becomes `bi_v2`, beside it."""
    found = releases("bi_v1.json")
    if not found:
        pytest.skip("nothing has been released yet")
    columns = await view_columns(connection)
    broken = {
        former: column_breaks(views["columns"], columns)
        + file_breaks(views["files"], migration_files())
        for former, views in found.items()
    }
    assert broken == {former: [] for former in found}


def test_every_release_has_all_its_files() -> None:
    """A release is whole: its folder is written by `make release-files` alone."""
    for folder in RELEASED.glob("*"):
        for name in (*DOCUMENTS, "metrics.json", "bi_v1.json"):
            assert (folder / name).is_file(), f"{folder.name}: {name} is missing"
        document = json.loads((folder / "openapi.json").read_text("utf-8"))
        assert document["info"]["version"] == folder.name
