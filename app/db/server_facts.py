"""What can be learnt of a server that the database of the service is on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from app.db.database import Database
from app.db.engine import SCHEMA

_SETTINGS: Final = (
    "archive_mode", "data_checksums", "fsync", "full_page_writes", "max_connections",
    "reserved_connections", "shared_buffers", "superuser_reserved_connections",
    "synchronous_commit", "synchronous_standby_names",
)  # fmt: skip
_BYTES_PER_UNIT: Final = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1024**2}
_READ_SETTINGS: Final = "SELECT name, setting, unit FROM pg_settings WHERE name = ANY($1)"
_READ: Final = """
SELECT current_user::text AS role, r.rolsuper AS is_superuser,
    nullif(r.rolconnlimit, -1) AS role_limit, nullif(d.datconnlimit, -1) AS database_limit,
    pg_is_in_recovery() AS is_standby, clock_timestamp() AS clock,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
    a.last_archived_time, a.last_failed_time
FROM pg_roles AS r, pg_database AS d, pg_stat_archiver AS a
WHERE r.rolname = current_user AND d.datname = current_database()
"""
#: What the role of the service needs of each of its tables.
_LACKING: Final = """
SELECT format('%s on %s', needed, c.oid::regclass)
FROM pg_class AS c, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS needed
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition AND NOT has_table_privilege(c.oid, needed)
ORDER BY 1
"""


class ServerFacts(NamedTuple):
    """A server, as the role of the service sees it."""

    #: Such as 18.5.
    version: str
    role: str
    is_superuser: bool
    is_standby: bool
    #: The server's clock, at the time of the answer.
    clock: datetime
    #: Sessions of clients, of all databases; those of others are only seen with `pg_monitor`.
    sessions: int
    #: The most that the role may have; None without a limit of its own, or of its database.
    connection_limit: int | None
    #: When a segment of the write-ahead log was archived last, and when that failed last.
    archived_at: datetime | None
    archiving_failed_at: datetime | None
    #: Settings by name. Sizes are in bytes.
    settings: Mapping[str, str]
    #: Rights on tables of the service that the role lacks, such as `INSERT on events`.
    lacking: list[str]

    @property
    def connections(self) -> int:
        """How many connections the role can have at most."""
        most = int(self.settings["max_connections"])
        if not self.is_superuser:
            most -= int(self.settings["superuser_reserved_connections"])
            most -= int(self.settings.get("reserved_connections", "0"))
        return most if self.connection_limit is None else min(most, self.connection_limit)


async def read_server(database: Database) -> ServerFacts:
    """
    What the server of *database* is like.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    version = await database.server_version()
    async with database.driver() as connection:
        rows = await connection.fetch(_READ_SETTINGS, list(_SETTINGS))
        lacking = await connection.fetch(_LACKING, SCHEMA)
        (found,) = await connection.fetch(_READ)
    limits = [found["role_limit"], found["database_limit"]]
    return ServerFacts(
        version=version,
        role=found["role"],
        is_superuser=found["is_superuser"],
        is_standby=found["is_standby"],
        clock=found["clock"],
        sessions=found["sessions"],
        connection_limit=min((one for one in limits if one is not None), default=None),
        archived_at=found["last_archived_time"],
        archiving_failed_at=found["last_failed_time"],
        settings={row["name"]: _in_bytes(row["setting"], row["unit"]) for row in rows},
        lacking=[row[0] for row in lacking],
    )


def _in_bytes(setting: str, unit: str | None) -> str:
    per_unit = _BYTES_PER_UNIT.get(unit or "")
    return setting if per_unit is None else str(int(setting) * per_unit)
