"""What a query reads, by its plan."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import asyncpg

Node = dict[str, Any]


async def nodes_of(connection: asyncpg.Connection, query: str) -> list[Node]:
    """Every node of the plan by which *query* was answered."""
    answer = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    return list(_nodes(json.loads(answer)[0]["Plan"]))


def _nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def rows_read(node: Node) -> int:
    """How many rows it had in its hands."""
    return int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))


def read_by_table(nodes: list[Node]) -> Counter[str]:
    """How many rows of each table; all months of events are one."""
    read: Counter[str] = Counter()
    for node in nodes:
        if table := node.get("Relation Name"):
            read["events" if table.startswith("events_") else table] += rows_read(node)
    return read
