"""When everything was last gone through, and what may have been removed by then."""

from datetime import timedelta
from typing import Final

from sqlalchemy import text

from app.db.database import Database
from app.domain.feed import Position
from app.domain.retention import Horizons

_RUN: Final = "everything"
_RAN: Final = text("""
SELECT EXISTS (
    SELECT FROM retention_marks WHERE name = :name AND reached_at > now() - CAST(:every AS interval)
)
""")
_NOTE: Final = text("""
INSERT INTO retention_marks (name) VALUES (:name)
ON CONFLICT (name) DO UPDATE SET reached_at = now()
""")


#: With what other processes look at, see `erasure.recipients.read_erased`.
_NOTE_HORIZON: Final = text("""
INSERT INTO retention_marks AS m (name, reached_at) VALUES (:name, :horizon)
ON CONFLICT (name) DO UPDATE SET reached_at = greatest(m.reached_at, excluded.reached_at)
""")
_NEXT_VERSION: Final = text("UPDATE erasure_state SET version = version + 1")
_FOLDED: Final = text("SELECT feed_epoch, xid, id FROM bi_rollup_state")


async def folded_position(database: Database) -> Position:
    """Up to which event everything is in the roll-ups: what is not must stay for now."""
    async with database.reading() as session:
        return Position._make((await session.execute(_FOLDED)).one())


async def ran_within(database: Database, every: timedelta) -> bool:
    """Whether a run came to its end within *every*."""
    async with database.reading() as session:
        return bool(await session.scalar(_RAN, {"name": _RUN, "every": every}))


async def note_horizons(database: Database, horizons: Horizons) -> None:
    """
    Let all processes know that what was received before is about to be removed.

    They may have been started without the settings of retention.
    """
    async with database.writing() as session:
        await session.execute(_NEXT_VERSION)
        for kind, horizon in horizons._asdict().items():
            if horizon is not None:
                given = {"name": f"removed {kind}", "horizon": horizon}
                await session.execute(_NOTE_HORIZON, given)


async def note_run(database: Database) -> None:
    """A run has come to its end."""
    async with database.writing() as session:
        await session.execute(_NOTE, {"name": _RUN})
