"""The only file that writes how many records were received on each day."""

from collections.abc import Mapping
from typing import Final

from app.db.dashboard.received import add_lately
from app.db.database import Database
from app.domain.received import Counted

#: In one order, so that processes which add at the same time wait for one another and no more.
_ADD: Final = """
INSERT INTO bi_received AS r (day, kind, outcome, records)
SELECT (now() AT TIME ZONE 'UTC')::date, given.*
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (kind, outcome, records)
ORDER BY kind, outcome
ON CONFLICT (day, kind, outcome) DO UPDATE SET records = r.records + excluded.records
"""


async def add_received(
    database: Database, added: Mapping[tuple[str, str], int], lately: Counted
) -> None:
    """
    Add what was received, all of it or nothing.

    To the counts of today, in UTC, what was *added* by kind and outcome; to those of the dashboard
    what was counted *lately*.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    kinds, outcomes = [kind for kind, _ in added], [outcome for _, outcome in added]
    async with database.driver() as connection, connection.transaction():
        if added:
            await connection.execute(_ADD, kinds, outcomes, list(added.values()))
        if lately:
            await add_lately(connection, lately)
