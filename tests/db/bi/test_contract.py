"""
A released view only gains columns, and a released `.sql` file does not change.

`python -m tests.db.bi.test_contract URL` adds new columns to the list of them. With a version after
it, as a part of making that release, it also freezes them, and the files that made them.
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.database import connect

LISTED = Path(__file__).with_name("bi_v1.json")
#: One file for each release that changed something: never written again.
FROZEN = Path(__file__).with_name("frozen")
VIEWS = Path(__file__).parents[3] / "migrations" / "views"
Columns = dict[str, dict[str, str]]

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'bi_v1'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_WITHOUT_COMMENT = """
SELECT c.relname || coalesce('.' || a.attname, '')
FROM pg_class c
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'bi_v1'::regnamespace
    AND (obj_description(c.oid) IS NULL OR col_description(c.oid, a.attnum) IS NULL)
"""
_ODD = """
SELECT c.relname || '.' || a.attname
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'bi_v1'::regnamespace AND a.atttypid IN (
    'bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'timestamp'::regtype, 'money'::regtype
)
"""


async def _columns(connection: asyncpg.Connection) -> Columns:
    found: Columns = {}
    for view, column, kind in await connection.fetch(_COLUMNS):
        found.setdefault(view, {})[column] = kind
    return found


def _lost(before: Columns, now: Columns) -> list[str]:
    """The columns of *before* that are not there any more, or are of another type."""
    return [
        f"{view}.{name}"
        for view, columns in before.items()
        for name, kind in columns.items()
        if now.get(view, {}).get(name) != kind
    ]


def _files() -> dict[str, str]:
    """A hash of each file that makes views."""
    return {
        str(path.relative_to(VIEWS)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(VIEWS.rglob("*.sql"))
    }


def _broken(frozen: dict[str, Any], columns: Columns, files: dict[str, str]) -> list[str]:
    """What of a release is not as it was."""
    changed = [name for name, known in frozen["files"].items() if files.get(name) != known]
    return _lost(frozen["columns"], columns) + changed


async def test_the_list_has_every_column_of_the_views(connection: asyncpg.Connection) -> None:
    assert await _columns(connection) == json.loads(LISTED.read_text())


async def test_every_release_is_kept(connection: asyncpg.Connection) -> None:
    columns, files = await _columns(connection), _files()
    releases = {path.stem: json.loads(path.read_text()) for path in FROZEN.glob("*.json")}
    broken = {version: _broken(it, columns, files) for version, it in releases.items()}
    assert broken == {version: [] for version in releases}


async def test_what_is_frozen_may_gain_columns_and_files_and_lose_or_change_none(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    columns, files = await _columns(connection), _files()
    _freeze(columns, "1", tmp_path)
    frozen = json.loads((tmp_path / "1.json").read_text())
    assert _broken(frozen, columns | {"later": {}}, files | {"later.sql": ""}) == []
    assert _broken(frozen, columns | {"messages": {}}, files)
    assert _broken(frozen, columns, files | {"bi_v1/messages.sql": "another"})
    with pytest.raises(FileExistsError):
        _freeze(columns, "1", tmp_path)


async def test_the_list_is_extended_only(connection: asyncpg.Connection, tmp_path: Path) -> None:
    columns, listed = await _columns(connection), tmp_path / "listed.json"
    listed.write_text('{"messages": {"message_tracking_id": "text"}}')
    _write(columns, listed)
    assert json.loads(listed.read_text()) == columns
    listed.write_text('{"messages": {"message_tracking_id": "uuid"}}')
    with pytest.raises(SystemExit, match=r"messages\.message_tracking_id"):
        _write(columns, listed)


async def test_every_view_and_every_column_has_a_comment(connection: asyncpg.Connection) -> None:
    assert await connection.fetch(_WITHOUT_COMMENT) == []


async def test_no_column_has_bytes_documents_or_times_without_a_zone(
    connection: asyncpg.Connection,
) -> None:
    assert await connection.fetch(_ODD) == []


def _write(found: Columns, listed: Path) -> None:
    if lost := _lost(json.loads(listed.read_text()), found):
        sys.exit(f"Not written, as these would go or change: {', '.join(lost)}.")
    listed.write_text(json.dumps(found, indent=2) + "\n")


def _freeze(found: Columns, version: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / f"{version}.json").open("x") as file:
        file.write(json.dumps({"columns": found, "files": _files()}, indent=2) + "\n")


async def _found(url: str) -> Columns:
    connection = await connect(url)
    try:
        return await _columns(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    _url, *_versions = sys.argv[1:]
    _now = asyncio.run(_found(_url))
    _write(_now, LISTED)
    for _version in _versions:
        _freeze(_now, _version, FROZEN)
