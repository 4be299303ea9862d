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
SELECT epoch, pg_sequence_last_value('feed_epoch'::regclass) AS default_epoch,
    recorded.system_identifier, recorded.timeline,
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
#: Who waits for one of the locks has not answered yet: not for long.
_NOT_FOR_LONG: Final = "SET LOCAL lock_timeout = '1s'"
#: The default of the columns. It can be seen before it is recorded, but nobody stores anything
#: meanwhile; the default of a column itself could not be changed while somebody reads its table.
_RAISE_DEFAULT: Final = "SELECT setval('feed_epoch', $1)"
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
        asyncpg.LockNotAvailableError: another process has been at it for too long.
        asyncpg.InsufficientPrivilegeError: the role may not use the sequence `feed_epoch`.
    """
    state = await _look(connection)
    if not state.must_be_raised:
        return state.epoch
    async with connection.transaction():
        await connection.execute(_NOT_FOR_LONG)
        await connection.execute(_LOCK, _EPOCH_LOCK)
        state = await _look(connection)
        if not state.must_be_raised:
            return state.epoch
        epoch = max(state.epoch, state.default_epoch or 0) + 1
        await connection.fetchval(_RAISE_DEFAULT, epoch)
        await connection.execute(_RECORD, epoch, *state.actual)
    return epoch


class _State(NamedTuple):
    """What is recorded, and what is: each a system identifier and a timeline."""

    epoch: int
    #: What is stored next gets this one; None when the role may not know.
    default_epoch: int | None
    recorded: tuple[int, int]
    actual: tuple[int, int | None]

    @property
    def must_be_raised(self) -> bool:
        """Whether it was moved, or was not raised completely; on a standby it cannot be."""
        is_right = self.recorded == self.actual and self.epoch == self.default_epoch
        return self.actual[1] is not None and not is_right


async def _look(connection: asyncpg.Connection) -> _State:
    row = await connection.fetchrow(_LOOK)
    if row is None:
        raise DatabaseUnavailable("The table feed_state has lost its one row.")
    return _State(row[0], row[1], (row[2], row[3]), (row[4], row[5]))
