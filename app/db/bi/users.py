"""Making, listing and removing the logins of analysts."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import asyncpg

from app.db.bi.access import make_roles
from app.db.bi.hardening import find_changes
from app.db.bi.login import BiLogin, quoted, statements
from app.db.database import Database
from app.errors import ReceiverError

_SERVICE: Final = """
SELECT current_user::text AS name, current_database()::text AS database, r.rolsuper AS superuser,
    pg_has_role(d.datdba, 'USAGE') AS owns_database
FROM pg_roles AS r, pg_database AS d
WHERE r.rolname = current_user AND d.datname = current_database()
"""
#: Members that inherit, which leaves out the role that made them, and can log in to this database.
_LOGINS: Final = """
SELECT r.rolname::text AS name,
    EXISTS (
        SELECT FROM pg_auth_members AS p
        WHERE p.member = r.oid AND p.roleid = to_regrole('bi_reader_pii') AND p.inherit_option
    ) AS pii,
    r.rolconnlimit AS max_connections,
    (SELECT count(*) FROM pg_stat_activity AS a WHERE a.usesysid = r.oid) AS sessions
FROM pg_auth_members AS m
JOIN pg_roles AS r ON r.oid = m.member
WHERE m.roleid = to_regrole('bi_reader') AND m.inherit_option
    AND NOT r.rolsuper AND NOT r.rolcreaterole AND r.rolname <> current_user
    AND (
        r.rolname = $1::name
        OR (r.rolcanlogin AND has_database_privilege(r.oid, current_database(), 'CONNECT'))
    )
ORDER BY r.rolname
"""
#: Databases of the cluster that it may connect to by a right of its own.
_MAY_CONNECT: Final = """
SELECT d.datname::text
FROM pg_database AS d, aclexplode(d.datacl) AS granted
JOIN pg_roles AS r ON r.oid = granted.grantee
WHERE r.rolname = $1
"""
_END_SESSIONS: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1
"""


class BiLoginExists(ReceiverError):
    """There is a role of that name already."""


class BiLoginInUse(ReceiverError):
    """Something in a database belongs to the login, or was granted to it alone."""


class NotAllowed(ReceiverError):
    """The service's role may not do that; an administrator runs *script* in *database*."""

    def __init__(self, message: str, *, database: str, script: str) -> None:
        super().__init__(message)
        self.database = database
        self.script = script


class CreatedLogin(NamedTuple):
    """A login that was made."""

    database: str
    #: Statements that an administrator should run for it.
    lacking: list[str]
    #: Whether `bi-user harden` has nothing to change.
    is_hardened: bool


class KnownLogin(NamedTuple):
    """A login as it is listed."""

    name: str
    pii: bool
    max_connections: int
    sessions: int


class _Service(NamedTuple):
    """The role of the service, and what it may do in the database."""

    name: str
    database: str
    superuser: bool
    owns_database: bool


async def create_bi_login(database: Database, login: BiLogin) -> CreatedLogin:
    """
    Make *login*, whose name was checked, all of it or nothing.

    Raises:
        BiLoginExists: there is a role of that name.
        NotAllowed: the service's role lacks a right.
    """
    async with database.driver() as connection:
        lacking = await make_roles(connection)
        service = await _service(connection)
        script = list(_script(login, service))
        try:
            await _run(connection, script)
        except asyncpg.DuplicateObjectError as error:
            raise BiLoginExists(
                f"There is a role {login.name!r} already. Take another name, or, if it is an "
                f"analyst's login, first: routee-receiver bi-user remove --name {login.name}"
            ) from error
        except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedObjectError) as error:
            raise NotAllowed(
                f"The role {service.name!r} may not make logins.",
                database=service.database,
                script="".join(f"{statement};\n" for statement in [*lacking, *script]),
            ) from error
        changes = await find_changes(connection)
    # Without it the login connects by the right of every role, until that is revoked.
    allowed = [] if service.owns_database else script[-1:]
    return CreatedLogin(service.database, allowed + lacking, is_hardened=not changes)


async def bi_logins(database: Database) -> list[KnownLogin]:
    """The logins of analysts that may read this database, also those made by hand."""
    async with database.driver() as connection:
        return [KnownLogin(*row) for row in await connection.fetch(_LOGINS, None)]


async def remove_bi_login(database: Database, name: str) -> bool:
    """
    End the sessions of an analyst's login and drop it; False when *name* is no such login.

    Raises:
        BiLoginInUse: it cannot be dropped. It cannot log in any more.
        NotAllowed: the service's role lacks a right.
    """
    async with database.driver() as connection:
        if name not in [row["name"] for row in await connection.fetch(_LOGINS, name)]:
            return False
        try:
            await _drop(connection, name)
        except asyncpg.DependentObjectsStillExistError as error:
            raise BiLoginInUse(
                f"{name!r} cannot log in any more, but owns something, or was granted something. "
                f"In each database concerned: DROP OWNED BY {quoted(name)}; then remove it again."
            ) from error
        except asyncpg.InsufficientPrivilegeError as error:
            service = await _service(connection)
            raise NotAllowed(
                f"The role {service.name!r} may not remove {name!r}.",
                database=service.database,
                script=f"DROP ROLE {quoted(name)};\n",
            ) from error
    return True


async def _service(connection: asyncpg.Connection) -> _Service:
    return _Service(*(await connection.fetch(_SERVICE))[0])


def _script(login: BiLogin, service: _Service) -> Iterator[str]:
    creator = None if service.superuser else service.name
    return statements(
        login, database=service.database, creator=creator, limit_files=service.superuser
    )


async def _run(connection: asyncpg.Connection, script: list[str]) -> None:
    async with connection.transaction():
        for statement in script:
            await connection.execute(statement)


async def _drop(connection: asyncpg.Connection, name: str) -> None:
    # First, so that no session begins while others are ended.
    await connection.execute(f"ALTER ROLE {quoted(name)} NOLOGIN")
    await connection.fetchval(_END_SESSIONS, name)
    for (database,) in await connection.fetch(_MAY_CONNECT, name):
        await connection.execute(f"REVOKE ALL ON DATABASE {quoted(database)} FROM {quoted(name)}")
    await connection.execute(f"DROP ROLE {quoted(name)}")
