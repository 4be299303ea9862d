"""
The views of `bi_v1` are listed, explained and of types that every tool reads.

`python -m tests.db.bi.test_contract URL` adds new columns to the list of them. That releases are
kept: tests/released.
"""

import asyncio
import json
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.database import connect
from tests.released.names import Columns, column_breaks, view_columns

LISTED = Path(__file__).with_name("bi_v1.json")

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


async def test_the_list_has_every_column_of_the_views(connection: asyncpg.Connection) -> None:
    assert await view_columns(connection) == json.loads(LISTED.read_text())


async def test_the_list_is_extended_only(connection: asyncpg.Connection, tmp_path: Path) -> None:
    columns, listed = await view_columns(connection), tmp_path / "listed.json"
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
    if lost := column_breaks(json.loads(listed.read_text()), found):
        sys.exit(f"Not written, as these would go or change: {', '.join(lost)}.")
    listed.write_text(json.dumps(found, indent=2) + "\n")


async def _found(url: str) -> Columns:
    connection = await connect(url)
    try:
        return await view_columns(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    _write(asyncio.run(_found(sys.argv[1])), LISTED)
