"""Where the bytes are: each table and each index, with all its partitions."""

from typing import Any, Final, NamedTuple

import asyncpg

from tests.bench.scale_payloads import opened

_SIZES: Final = """
WITH named AS (
    SELECT c.oid, c.relkind, coalesce(pg_partition_root(c.oid), c.oid)::regclass::text AS root
    FROM pg_class c
    WHERE c.relnamespace = 'receiver'::regnamespace AND c.relkind IN ('r', 'i')
),
owned AS (
    SELECT n.*,
        coalesce(
            pg_partition_root(coalesce(i.indrelid, n.oid)), i.indrelid, n.oid
        )::regclass::text AS owner
    FROM named n LEFT JOIN pg_index i ON i.indexrelid = n.oid
),
parts AS (
    SELECT owner, CASE relkind WHEN 'i' THEN root ELSE 'heap' END AS part, pg_relation_size(oid)
    FROM owned
    UNION ALL
    SELECT owner, 'maps of the heap',
        pg_table_size(oid) - pg_relation_size(oid)
            - coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0)
    FROM owned JOIN pg_class c USING (oid) WHERE owned.relkind = 'r'
    UNION ALL
    SELECT owner, 'toast', pg_total_relation_size(c.reltoastrelid)
    FROM owned JOIN pg_class c USING (oid) WHERE c.reltoastrelid <> 0
)
SELECT owner, part, sum(pg_relation_size)::bigint AS bytes
FROM parts GROUP BY owner, part HAVING sum(pg_relation_size) > 0
ORDER BY owner, part = 'heap' DESC, bytes DESC
"""
_TOTAL: Final = """
SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
WHERE relnamespace = 'receiver'::regnamespace AND relkind = 'r'
"""
_EVENTS: Final = "SELECT count(*) FROM events"
_SAMPLE_ITEMS: Final = 10_000
_SAMPLE: Final = """
SELECT payload, payload_dictionary FROM events TABLESAMPLE SYSTEM ($1)
WHERE payload IS NOT NULL
"""


class Part(NamedTuple):
    """A heap, an index or something smaller, of a table with all its partitions."""

    table: str
    part: str
    bytes: int


class Sizes(NamedTuple):
    """What an event takes, with all that follows from it; in bytes."""

    per_event: float
    #: The mean of the bodies as they came.
    payload: float
    parts: list[Part]
    events: int

    def document(self) -> dict[str, Any]:
        """It, for a file; the largest parts first."""
        largest_first = sorted(self.parts, key=lambda part: -part.bytes)
        return {
            **self._asdict(),
            "parts": [
                {**part._asdict(), "per_event": round(part.bytes / self.events, 2)}
                for part in largest_first
            ],
        }


async def sizes_of(connection: asyncpg.Connection) -> Sizes:
    """Tables, partitions, indexes and toast of a database that has events."""
    events = int(await connection.fetchval(_EVENTS))
    total = int(await connection.fetchval(_TOTAL))
    parts = [Part(*row) for row in await connection.fetch(_SIZES)]
    percent = min(100, 100 * _SAMPLE_ITEMS / events)
    bodies = [opened(*row) for row in await connection.fetch(_SAMPLE, percent)]
    return Sizes(total / events, sum(map(len, bodies)) / len(bodies), parts, events)
