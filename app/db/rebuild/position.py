"""The position of a rebuild, which survives the process that runs it."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text

from app.db.database import Database

_POSITION: Final = text("SELECT message_tracking_id, examined, began_at FROM rebuild_position")
_REACH: Final = text("""
INSERT INTO rebuild_position (message_tracking_id, examined) VALUES (:upto, :examined)
ON CONFLICT (singleton) DO UPDATE SET
    message_tracking_id = excluded.message_tracking_id, examined = excluded.examined,
    reached_at = now()
""")
_END_RUN: Final = text("DELETE FROM rebuild_position")


class RebuildPosition(NamedTuple):
    """How far an interrupted rebuild is."""

    message_tracking_id: str
    examined: int
    began_at: datetime


async def find_position(database: Database) -> RebuildPosition | None:
    """The position of an interrupted rebuild; None if there is none."""
    async with database.reading() as session:
        row = (await session.execute(_POSITION)).one_or_none()
    return None if row is None else RebuildPosition._make(row)


async def reach(database: Database, upto: str, *, examined: int) -> None:
    """Record that the messages up to *upto* are rebuilt, *examined* since the beginning."""
    async with database.writing() as session:
        await session.execute(_REACH, {"upto": upto, "examined": examined})


async def forget_position(database: Database) -> None:
    """Let the next rebuild begin with the first message."""
    async with database.writing() as session:
        await session.execute(_END_RUN)
