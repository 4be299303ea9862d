"""
Ending analysts' sessions that are over a limit.

A session can change its own limits, so the settings of a login are a courtesy; these are enforced.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import asyncpg

from app.db.database import Database

#: Every writing transaction holds up the feed; a reader gets a transaction id only by asking for
#: one.
MAX_WRITING: Final = timedelta(seconds=30)
#: How long a session has to end by itself once its query was cancelled.
GRACE: Final = timedelta(seconds=15)
#: The service's own advisory locks (see `_MIGRATION_LOCK` and its like). Any role may take them
#: in a database that is not hardened.
_FIRST_LOCK: Final = 7_021_001
_LAST_LOCK: Final = 7_021_099
#: The cluster has one table of locks, and no transaction can write when it is full. The views take
#: no advisory locks; a program may take a few for itself.
_MAX_ADVISORY_LOCKS: Final = 16

# Members are followed as far as rights are inherited, which leaves out the role that made them. The
# owner of the views is never an analyst, nor is a role that may make roles.
_END: Final = """
WITH RECURSIVE readers AS (
    SELECT to_regrole('bi_reader')::oid AS id
    UNION
    SELECT m.member FROM pg_auth_members AS m JOIN readers AS r ON m.roleid = r.id
    WHERE m.inherit_option
),
-- Read once: there can be a million locks.
advisory AS MATERIALIZED (
    SELECT pid, count(*) AS locks, bool_or(
        database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid::bigint = 0 AND objid::bigint BETWEEN $4::bigint AND $5::bigint
    ) AS are_ours
    FROM pg_locks
    WHERE locktype = 'advisory'
    GROUP BY pid
),
sessions AS MATERIALIZED (
    SELECT a.pid, a.usename::text AS login, a.state,
        extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
        a.backend_xid IS NOT NULL AS is_writing,
        a.datname <> current_database() AS is_elsewhere,
        a.state IS NOT NULL
            AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
            AS is_ours,
        -- An idle session can hold a lock for ever: no limit on transactions ends it.
        coalesce(
            l.are_ours OR l.locks > $6::bigint
            OR (l.locks > 0 AND a.xact_start IS NULL AND a.datname = current_database()),
            false
        ) AS is_locking
    FROM pg_stat_activity AS a
    JOIN pg_roles AS r ON r.oid = a.usesysid
    LEFT JOIN advisory AS l ON l.pid = a.pid
    WHERE a.usesysid IN (SELECT id FROM readers)
        -- The feed waits for the whole cluster, which has one table of locks.
        AND (
            a.datname = current_database() OR a.backend_xid IS NOT NULL OR l.locks > $6::bigint
        )
        AND NOT r.rolsuper AND NOT r.rolcreaterole AND r.rolname <> current_user
        AND r.oid NOT IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'bi_v1')
),
verdicts AS MATERIALIZED (
    SELECT pid, login, seconds, CASE
        WHEN NOT is_ours THEN 'out of reach'
        WHEN is_locking THEN 'terminated'
        WHEN (is_elsewhere OR seconds <= $1::float8)
            AND NOT (is_writing AND seconds > $2::float8) THEN NULL
        WHEN state = 'active' AND seconds <= $3::float8 + CASE WHEN is_writing THEN $2 ELSE $1 END
            THEN 'cancelled'
        WHEN seconds > 0 THEN 'terminated'
    END AS verdict
    FROM sessions
)
SELECT pid, login, coalesce(seconds, 0) AS seconds, verdict, CASE verdict
    WHEN 'cancelled' THEN pg_cancel_backend(pid)
    WHEN 'terminated' THEN pg_terminate_backend(pid)
END AS signalled
FROM verdicts WHERE verdict IS NOT NULL
"""

#: The query itself takes 8 to 16 locks of shared catalogs. When the table of locks is full, they
#: take the slots of advisory locks that the same connection has kept since its last poll.
_BALLAST_LOCKS: Final = 32
_TAKE_BALLAST: Final = """
SELECT pg_advisory_lock(pg_backend_pid(), n) FROM generate_series(1, $1::integer) AS n
WHERE NOT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
"""
_DROP_BALLAST: Final = "SELECT pg_advisory_unlock_all()"


class Verdict(StrEnum):
    """What was done to a session."""

    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    #: The service's role may not see what it does, or not end it.
    OUT_OF_REACH = "out of reach"


class Session(NamedTuple):
    """An analyst's session that was ended, or should have been."""

    pid: int
    login: str
    seconds: float
    verdict: Verdict


async def end_long_sessions(database: Database, longest: timedelta) -> Sequence[Session]:
    """
    Cancel analysts' transactions that last longer than *longest*; end sessions that go on.

    Several processes may do so at once.
    """
    arguments = (
        longest.total_seconds(),
        min(longest, MAX_WRITING).total_seconds(),
        GRACE.total_seconds(),
        _FIRST_LOCK,
        _LAST_LOCK,
        _MAX_ADVISORY_LOCKS,
    )
    async with database.driver() as connection:
        try:
            rows = await connection.fetch(_END, *arguments)
        except asyncpg.OutOfMemoryError:
            await connection.execute(_DROP_BALLAST)
            rows = await connection.fetch(_END, *arguments)
        await connection.fetch(_TAKE_BALLAST, _BALLAST_LOCKS)
    return [
        Session(row["pid"], row["login"], row["seconds"], Verdict(row["verdict"]))
        for row in rows
        if row["signalled"] is not False
    ]
