"""The only file that writes what waits in the buffer, for analysts."""

from datetime import datetime
from typing import Final

from app.db.database import Database

_WRITE: Final = """
INSERT INTO bi_buffered AS b (only_one, batches, oldest_at, measured_at)
VALUES (true, $1, $2, now())
ON CONFLICT (only_one) DO UPDATE SET
    batches = excluded.batches, oldest_at = excluded.oldest_at, measured_at = excluded.measured_at
"""


async def write_buffered(database: Database, *, batches: int, oldest_at: datetime | None) -> None:
    """
    Write how many *batches* wait, the oldest of them since *oldest_at*.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    async with database.driver() as connection:
        await connection.execute(_WRITE, batches, oldest_at)
