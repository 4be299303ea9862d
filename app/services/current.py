"""The current state of single messages, read by one query for all concurrent callers."""

from collections.abc import Sequence
from typing import Final

from app.db.database import Database
from app.db.messages import CurrentMessage, messages_of
from app.errors import DatabaseUnavailable, Overloaded
from app.kit.batcher import Batcher, Full, TooLate

_MAX_BATCH_ITEMS: Final = 256
#: Each is a request that waits; more would not be answered in time.
_MAX_PENDING_ITEMS: Final = 4096
#: A little longer than the statement timeout, so that the database reports it.
_BUDGET_SECONDS: Final = 7.0
_RETRY_AFTER_SECONDS: Final = 1


class CurrentMessages:
    """Reads the messages that are requested during one query with the next query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[str, CurrentMessage | None] = Batcher(
            self._read,
            max_batch_items=_MAX_BATCH_ITEMS,
            max_pending_items=_MAX_PENDING_ITEMS,
            budget_seconds=_BUDGET_SECONDS,
        )

    async def find(self, tracking_id: str) -> CurrentMessage | None:
        """
        The message *tracking_id*, an id that the database takes, as it is now.

        Raises:
            DatabaseUnavailable: it cannot be read.
            Overloaded: too many callers wait.
        """
        try:
            return await self._batcher.submit(tracking_id)
        except Full:
            raise Overloaded(
                "Too many messages are being asked for.", retry_after_seconds=_RETRY_AFTER_SECONDS
            ) from None
        except TooLate:
            raise DatabaseUnavailable("The message was not read in time.") from None

    async def close(self) -> None:
        """Return once all callers have been answered."""
        await self._batcher.close()

    async def _read(self, tracking_ids: Sequence[str]) -> Sequence[CurrentMessage | None]:
        found = await messages_of(self._database, set(tracking_ids))
        return [found.get(tracking_id) for tracking_id in tracking_ids]
