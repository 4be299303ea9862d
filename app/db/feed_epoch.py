"""
Noticing that the database lives on another server, or on another timeline, than it did.

There transaction ids start anew, or take other turns than the readers of the feed have seen. From
then on everything is stored in a new epoch, which comes after all that was.
"""

from typing import Final, NamedTuple

import asyncpg

from app.errors import DatabaseUnavailable

#: Any number, as long as no other program in the same database uses it.
_EPOCH_LOCK: Final = 7_021_003

#: The timeline of the WAL, not of `pg_control_checkpoint()`: that is of the last checkpoint,
#: which a promotion does not wait for. A standby cannot be asked, and nothing is written there.
_LOOK: Final = """
SELECT epoch, recorded.system_identifier, recorded.timeline,
    actual.system_identifier AS actual_system_identifier, actual.timeline AS actual_timeline
FROM feed_state AS recorded, (
    SELECT system_identifier,
        CASE WHEN NOT pg_is_in_recovery() THEN
            ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
        END AS timeline
    FROM pg_control_system()
) AS actual
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
#: Whoever waits for such a lock holds up everybody who comes later, readers too: not for long.
#: Without `ONLY` each partition would be locked too; rows come through the parent alone.
_RAISE_DEFAULTS: Final = """
SET LOCAL lock_timeout = '1s';
LOCK TABLE ONLY events, ONLY inbound_messages IN ACCESS EXCLUSIVE MODE;
ALTER TABLE ONLY events ALTER COLUMN feed_epoch SET DEFAULT {epoch};
ALTER TABLE ONLY inbound_messages ALTER COLUMN feed_epoch SET DEFAULT {epoch};
"""
_RECORD: Final = """
UPDATE feed_state
SET epoch = $1, system_identifier = $2, timeline = $3, raised_at = now()
"""


async def keep_epoch(connection: asyncpg.Connection) -> int:
    """
    The current epoch, raised first if the database was moved since it was recorded.

    Whoever writes events does this first on each new connection. Of several processes that do so
    at once one raises, and the others wait for it. Cheap when there is nothing to do.

    Raises:
        asyncpg.LockNotAvailableError: somebody has been reading the events for too long.
    """
    state = await _look(connection)
    if not state.has_moved:
        return state.epoch
    async with connection.transaction():
        await connection.execute(_LOCK, _EPOCH_LOCK)
        state = await _look(connection)
        if not state.has_moved:
            return state.epoch
        epoch = state.epoch + 1
        await connection.execute(_RAISE_DEFAULTS.format(epoch=epoch))
        await connection.execute(_RECORD, epoch, *state.actual)
    return epoch


class _State(NamedTuple):
    """What is recorded, and what is: each a system identifier and a timeline."""

    epoch: int
    recorded: tuple[int, int]
    actual: tuple[int, int | None]

    @property
    def has_moved(self) -> bool:
        """Whether the epoch must be raised; on a standby it cannot be."""
        return self.actual[1] is not None and self.recorded != self.actual


async def _look(connection: asyncpg.Connection) -> _State:
    row = await connection.fetchrow(_LOOK)
    if row is None:
        raise DatabaseUnavailable("The table feed_state has lost its one row.")
    return _State(row[0], (row[1], row[2]), (row[3], row[4]))
