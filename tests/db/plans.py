"""What the server does for the statements that are asked of a database."""

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
from sqlalchemy import event

from app.db.database import Database


class Asked:
    """The statements that a database was sent, with their parameters."""

    def __init__(self, database: Database) -> None:
        self.statements: list[tuple[str, tuple[Any, ...]]] = []
        event.listen(database._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, *rest: Any) -> None:  # noqa: ANN401
        self.statements.append((rest[0], rest[1]))

    async def explained(self, connection: asyncpg.Connection) -> list[dict[str, Any]]:
        """What the server does for each of them, under the settings of their transaction."""
        plans = []
        async with connection.transaction():
            for statement, parameters in self.statements:
                if "set_config" in statement:
                    await connection.execute(statement, *parameters)
                    continue
                plan = await connection.fetchval(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *parameters
                )
                plans.append(json.loads(plan)[0]["Plan"])
        return plans


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of *plan*."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def blocks_of(plan: dict[str, Any]) -> int:
    """How many blocks *plan* has touched."""
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def most_rows(plan: dict[str, Any]) -> float:
    """How many rows the busiest node of *plan* has read."""
    return max(map(_rows_of, nodes(plan)))


def _rows_of(node: dict[str, Any]) -> float:
    removed = (node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck"))
    return float(node["Actual Loops"] * (node["Actual Rows"] + sum(removed)))
