"""A released view only gains columns: `python -m tests.db.bi.test_contract URL` writes them."""

import asyncio
import json
import sys
from pathlib import Path

import asyncpg

RELEASED = Path(__file__).with_name("bi_v1.json")
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


async def test_no_released_column_disappears_or_changes_its_type(
    connection: asyncpg.Connection,
) -> None:
    found = await _columns(connection)
    released: Columns = json.loads(RELEASED.read_text())
    kept = {
        view: {name: kind for name, kind in found.get(view, {}).items() if name in columns}
        for view, columns in released.items()
    }
    assert kept == released


async def test_every_column_is_in_the_list_of_what_is_released(
    connection: asyncpg.Connection,
) -> None:
    assert await _columns(connection) == json.loads(RELEASED.read_text())


async def test_every_view_and_every_column_has_a_comment(connection: asyncpg.Connection) -> None:
    assert await connection.fetch(_WITHOUT_COMMENT) == []


async def test_no_column_has_bytes_documents_or_times_without_a_zone(
    connection: asyncpg.Connection,
) -> None:
    assert await connection.fetch(_ODD) == []


async def _write(url: str) -> None:
    connection = await asyncpg.connect(url)
    RELEASED.write_text(json.dumps(await _columns(connection), indent=2) + "\n")
    await connection.close()


if __name__ == "__main__":
    asyncio.run(_write(sys.argv[1]))
