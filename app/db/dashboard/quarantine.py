"""How a body of the quarantine begins, without reading all of it."""

from typing import Final

from sqlalchemy import text

from app.db.database import Database

_FIRST_OCTETS: Final = text("SELECT substr(body, 1, :limit) FROM quarantine WHERE id = :id")


async def find_first_octets(database: Database, body_id: int, *, limit: int) -> bytes | None:
    """The first *limit* bytes of the body of that id; None if there is none."""
    async with database.reading() as session:
        octets: bytes | None = await session.scalar(_FIRST_OCTETS, {"id": body_id, "limit": limit})
    return octets
