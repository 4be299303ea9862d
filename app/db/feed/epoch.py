"""
The epoch of the feed: raised when the database has moved to another server or timeline.

Transaction ids start anew there, or differ from those that readers of the feed have seen. What is
stored from then on has a new epoch, which comes after all before it.
"""

from typing import Final, NamedTuple

import asyncpg

from app.errors import DatabaseUnavailable

#: Any number, as long as no other program in the same database uses it.
_EPOCH_LOCK: Final = 7_021_003

#: The timeline is that of the WAL: `pg_control_checkpoint()` has that of the last checkpoint, which
#: a promotion does not wait for. On a standby, where nothing is written, it cannot be read.
_STATE: Final = """
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
#: Callbacks wait while this waits for a lock.
_GIVE_UP_SOON: Final = "SET LOCAL lock_timeout = '1s'"
#: The default of the columns `feed_epoch`. Others see it before it is recorded, but store nothing
#: meanwhile. Changing the default of a column itself would wait for all readers of its table.
_RAISE_DEFAULT: Final = "SELECT setval('feed_epoch', $1)"
_RECORD: Final = """
UPDATE feed_state
SET epoch = $1, system_identifier = $2, timeline = $3, raised_at = now()
"""


async def keep_epoch(connection: asyncpg.Connection) -> int:
    """
    The current epoch, raised first if the database has moved since it was recorded.

    Every new connection that stores events calls it first. One of several processes raises the
    epoch, and the others wait for it. It is cheap if there is nothing to do.

    Raises:
        asyncpg.LockNotAvailableError: another process is raising it, and takes too long.
        asyncpg.InsufficientPrivilegeError: the role may not use the sequence `feed_epoch`.
    """
    state = await _read_state(connection)
    if not state.must_be_raised:
        return state.epoch
    async with connection.transaction():
        await connection.execute(_GIVE_UP_SOON)
        await connection.execute(_LOCK, _EPOCH_LOCK)
        state = await _read_state(connection)
        if not state.must_be_raised:
            return state.epoch
        epoch = max(state.epoch, state.default_epoch or 0) + 1
        await connection.fetchval(_RAISE_DEFAULT, epoch)
        await connection.execute(_RECORD, epoch, *state.actual)
    return epoch


class _State(NamedTuple):
    """The recorded and the actual system identifier and timeline."""

    epoch: int
    #: The epoch of what is stored next; None if the role may not read the sequence.
    default_epoch: int | None
    recorded: tuple[int, int]
    actual: tuple[int, int | None]

    @property
    def must_be_raised(self) -> bool:
        """Whether the database has moved, or raising was interrupted; never on a standby."""
        is_right = self.recorded == self.actual and self.epoch == self.default_epoch
        return self.actual[1] is not None and not is_right


async def _read_state(connection: asyncpg.Connection) -> _State:
    row = await connection.fetchrow(_STATE)
    if row is None:
        raise DatabaseUnavailable("The table feed_state has no row.")
    return _State(row[0], row[1], (row[2], row[3]), (row[4], row[5]))
