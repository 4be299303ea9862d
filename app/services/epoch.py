"""Noticing that the database may be another one, and forgetting what was remembered of it."""

from collections.abc import Callable, Sequence

import structlog

from app.db.database import Database

log = structlog.get_logger()


class EpochWatch:
    """
    Keeps the feed's epoch, and calls all of *forget* when the database may be another one.

    A promoted standby may lack the last seconds, and a restored dump much more. Either has a new
    epoch, or at least cuts the connections. Those may outlive it, when a pooler has them. A
    connection that is made for another reason only costs that something is read again.
    """

    def __init__(self, database: Database, forget: Sequence[Callable[[], object]]) -> None:
        self._database = database
        self._forget = forget
        self._epoch: int | None = None
        self._connections_made = 0

    async def poll(self) -> None:
        """
        Raise the epoch if the database has moved, and notice if any process has raised it.

        Raises:
            DatabaseUnavailable: it could not be read or raised.
        """
        epoch = await self._database.keep_epoch()
        made = self._database.connections_made
        if self._epoch not in {None, epoch}:
            log.warning("the database has moved, and is read anew", epoch=epoch)
        if (self._epoch, self._connections_made) != (epoch, made):
            for forget in self._forget:
                forget()
        self._epoch, self._connections_made = epoch, made
