"""What a text in the search box may be the name of."""

from typing import Final

from sqlalchemy import text

from app.db.dashboard.planner import LOOK_UPS
from app.db.database import Database

_HAS_LABEL: Final = text("SELECT EXISTS (SELECT FROM messages WHERE label = :label)")


async def has_label(database: Database, label: str) -> bool:
    """
    Whether a message has exactly this *label*.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    async with database.reading(planner=LOOK_UPS) as session:
        return bool(await session.scalar(_HAS_LABEL, {"label": label}))
