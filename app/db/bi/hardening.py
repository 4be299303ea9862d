"""
What PostgreSQL grants to every role and an analyst's login can do harm with.

Revoking it concerns the whole database, which other programs may share: an administrator asks for
it. Each right is granted first to the roles that use this database, so that these lose nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import asyncpg

from app.db.bi.access import READER, READER_PII
from app.db.bi.login import quoted
from app.db.database import Database

_DATABASE: Final = """
SELECT datname::text AS name, pg_has_role(datdba, 'USAGE') AS may_change, ARRAY(
    SELECT privilege_type FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
    WHERE grantee = 0 AND privilege_type IN ('CONNECT', 'TEMPORARY')
    ORDER BY privilege_type
) AS privileges
FROM pg_database WHERE datname = current_database()
"""
_FUNCTIONS: Final = """
SELECT
    format('pg_catalog.%I(%s)', proname, pg_get_function_identity_arguments(oid)) AS name,
    pg_has_role(proowner, 'USAGE') AS may_change
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ $1 AND EXISTS (
    SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
    WHERE grantee = 0 AND privilege_type = 'EXECUTE'
)
ORDER BY 1
"""
#: Roles that own something in this database, were granted something in it, or have a session in it
#: and are no analysts; and those of programs for backups and monitoring.
_USERS: Final = """
SELECT r.rolname::text
FROM pg_roles AS r, pg_database AS here
WHERE here.datname = current_database() AND NOT r.rolsuper AND r.rolname <> ALL ($1::text[]) AND (
    r.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_monitor')
    OR EXISTS (
        SELECT FROM pg_shdepend AS d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.dbid = here.oid
    )
    OR EXISTS (
        SELECT FROM pg_stat_activity AS a
        WHERE a.usesysid = r.oid AND a.datid = here.oid
            AND NOT coalesce(pg_has_role(r.oid, to_regrole($2), 'USAGE'), false)
    )
)
ORDER BY 1
"""

_CONNECT: Final = (
    "Every role of the cluster may connect to this database and make temporary tables in it, also "
    "an analyst of another database."
)
_FILL_DISK: Final = (
    "A session can give up being read-only, and then fill the disk with large objects or with "
    "messages in the write-ahead log."
)
_FILL_LOCKS: Final = (
    "A session can fill the table of locks, of which the cluster has one, with advisory locks: no "
    "transaction can write then."
)
#: Functions that do harm, as a pattern of their names.
_FUNCTIONS_OF: Final = {
    _FILL_DISK: "^(lo_creat|lo_create|lo_from_bytea|pg_logical_emit_message)$",
    _FILL_LOCKS: "^pg_(try_)?advisory_(xact_)?lock",
}


class Change(NamedTuple):
    """One thing to take from every role."""

    #: In one sentence.
    why: str
    #: In their order: what is granted comes before what is revoked.
    statements: tuple[str, ...]
    #: Whether the service's role may run them.
    may_run: bool


async def find_changes(connection: asyncpg.Connection) -> list[Change]:
    """What is still to be changed in the database of *connection*; nothing once it is hardened."""
    rows = await connection.fetch(_USERS, [READER, READER_PII], READER)
    users = ", ".join(quoted(row[0]) for row in rows)
    changes = []
    [database] = await connection.fetch(_DATABASE)
    if database["privileges"]:
        what = f"{', '.join(database['privileges'])} ON DATABASE {quoted(database['name'])}"
        changes.append(Change(_CONNECT, _moved(what, users), database["may_change"]))
    for why, pattern in _FUNCTIONS_OF.items():
        if functions := await connection.fetch(_FUNCTIONS, pattern):
            what = f"EXECUTE ON FUNCTION {', '.join(row['name'] for row in functions)}"
            may_run = all(row["may_change"] for row in functions)
            changes.append(Change(why, _moved(what, users), may_run))
    return changes


async def find_hardening(database: Database) -> list[Change]:
    """What `find_changes` finds in *database*."""
    async with database.driver() as connection:
        return await find_changes(connection)


async def harden(database: Database, changes: Sequence[Change]) -> None:
    """Run the statements that the service's role may run, all of them or none."""
    async with database.driver() as connection, connection.transaction():
        for change in changes:
            for statement in change.statements if change.may_run else ():
                await connection.execute(statement)


def script(changes: Sequence[Change]) -> Iterator[str]:
    """Lines of SQL, with each reason as a comment."""
    for change in changes:
        yield f"-- {change.why}"
        yield from (f"{statement};" for statement in change.statements)


def _moved(what: str, users: str) -> tuple[str, ...]:
    """The statements that take *what* from every role but *users*."""
    revoke = f"REVOKE {what} FROM PUBLIC"
    return (f"GRANT {what} TO {users}", revoke) if users else (revoke,)
