"""The names that others build on, of this program and of releases, and what breaks them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
from prometheus_client.metrics import MetricWrapperBase

from app.observability.metrics import Metrics

ROOT: Final = Path(__file__).parents[2]
#: A folder for each version, never written again.
RELEASED: Final = ROOT / "openapi" / "released"
_MIGRATIONS: Final = ROOT / "migrations"
_COLUMNS: Final = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'bi_v1'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""

#: By metric: `{"type": "counter", "labels": ["kind", "result"]}`.
MetricNames = dict[str, dict[str, Any]]
#: The type of each column, by view.
Columns = dict[str, dict[str, str]]


def metric_names() -> MetricNames:
    """Each metric of this program as `/metrics` shows it, with its type and labels."""
    metrics = Metrics()
    metrics.expect_duties(["work"])
    labels = {
        metric._name: list(metric._labelnames)
        for metric in metrics.registry._collector_to_names
        if isinstance(metric, MetricWrapperBase)
    }
    return {
        family.name + ("_total" if family.type == "counter" else ""): {
            "type": family.type,
            "labels": labels.get(family.name, []),
        }
        for family in sorted(metrics.collect(), key=lambda family: family.name)
        if not family.name.startswith("process_")
    }


def metric_breaks(old: MetricNames, new: MetricNames) -> list[str]:
    """What dashboards and alerts made for *old* miss in *new*."""
    found = []
    for name, before in old.items():
        after = new.get(name)
        if after is None:
            found.append(f"{name}: removed")
            continue
        if after["type"] != before["type"]:
            found.append(f"{name}: {before['type']} became {after['type']}")
        found += [
            f"{name}: label {label} removed"
            for label in before["labels"]
            if label not in after["labels"]
        ]
    return found


async def view_columns(connection: asyncpg.Connection) -> Columns:
    """The columns of each view of `bi_v1`, with their types."""
    found: Columns = {}
    for view, column, kind in await connection.fetch(_COLUMNS):
        found.setdefault(view, {})[column] = kind
    return found


def migration_files() -> dict[str, str]:
    """A hash of each file that makes the schema: a released one has been run and stays as it is."""
    files = [*_MIGRATIONS.rglob("*.sql"), *_MIGRATIONS.glob("versions/*.py")]
    return {
        str(path.relative_to(_MIGRATIONS)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }


def column_breaks(old: Columns, new: Columns) -> list[str]:
    """What queries made for *old* miss in *new*."""
    found = []
    for view, columns in old.items():
        if view not in new:
            found.append(f"{view}: removed")
            continue
        for name, kind in columns.items():
            now = new[view].get(name)
            if now is None:
                found.append(f"{view}.{name}: removed")
            elif now != kind:
                found.append(f"{view}.{name}: {kind} became {now}")
    return found


def file_breaks(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The files of *old* that were changed or removed."""
    return [f"{name}: changed" for name, known in old.items() if new.get(name) != known]


def releases(name: str, folder: Path = RELEASED) -> dict[str, Any]:
    """The file *name* of each release, by its version, the oldest first."""
    files = {path.parent.name: path for path in folder.glob(f"*/{name}")}
    return {
        version: json.loads(files[version].read_text("utf-8"))
        for version in sorted(files, key=numbers)
    }


def numbers(version: str) -> list[int]:
    """*version* as numbers, which can be compared.

    Raises:
        ValueError: it is not like 1.2.3.
    """
    major, minor, patch = version.split(".")
    return [int(major), int(minor), int(patch)]
