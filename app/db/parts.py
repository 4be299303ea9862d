"""Reading long lists in parts."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncSession

R = TypeVar("R")

#: How many rows one statement of a list gives. Handling them takes the event loop a step of 1 to
#: 2 ms; those of a whole page would delay callbacks by ten times that.
PART_ITEMS: Final = 100


async def rows_in_parts(
    session: AsyncSession,
    query_beyond: Callable[[R | None], Select[*tuple[Any, ...]]],
    make: Callable[[Row[*tuple[Any, ...]]], R],
    *,
    limit: int,
    part_items: int = PART_ITEMS,
) -> list[R]:
    """
    At most *limit* rows of a list, read in parts; each is what *make* makes of it.

    *query_beyond* gives the query of the rows beyond such a row, and of all rows for None.
    """
    rows: list[R] = []
    while len(rows) < limit:
        wanted = min(limit - len(rows), part_items)
        query = query_beyond(rows[-1] if rows else None).limit(wanted)
        part = [make(row) for row in await session.execute(query)]
        rows += part
        if len(part) < wanted:
            break
    return rows
