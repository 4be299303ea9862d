"""The roles of analysts and the rights that they need."""

from typing import Final

import asyncpg

#: Its members read the views of `bi_v1`.
READER: Final = "bi_reader"
#: Members of this one as well see telephone numbers whole.
READER_PII: Final = "bi_reader_pii"

_EXISTS: Final = "SELECT to_regrole($1) IS NOT NULL"
#: The tables behind the views are read with the rights of the views' owner, and the functions that
#: the views call may be executed by PUBLIC: no role can name them without USAGE on their schema.
_GRANTS: Final = (
    f"GRANT USAGE ON SCHEMA bi_v1 TO {READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA bi_v1 TO {READER}",
)
_IS_COMPLETE: Final = """
SELECT bool_and(has_table_privilege($1, oid, 'SELECT'))
    AND has_schema_privilege($1, 'bi_v1', 'USAGE')
FROM pg_class WHERE relnamespace = 'bi_v1'::regnamespace AND relkind IN ('v', 'm')
"""
#: GRANTs on one object at the same time fail with "tuple concurrently updated".
_LOCK: Final = "SELECT pg_advisory_xact_lock(7021004)"


async def make_roles(connection: asyncpg.Connection) -> list[str]:
    """
    Make the roles of analysts where they are missing, and grant them what they need.

    Returns:
        The statements that another role must run, because this one may not.
    """
    lacking = []
    for role in (READER, READER_PII):
        statement = f"CREATE ROLE {role} NOLOGIN"
        try:
            if not await connection.fetchval(_EXISTS, role):
                await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            lacking.append(statement)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            continue  # roles belong to the cluster: another database's service was quicker
    if lacking:
        return [*lacking, *_GRANTS]
    return await renew_grants(connection)


async def renew_grants(connection: asyncpg.Connection) -> list[str]:
    """
    Grant the roles of analysts, if there are any, what they lack: a migration may add views.

    Returns:
        The statements that another role must run, because this one may not.
    """
    if not await connection.fetchval(_EXISTS, READER):
        return []
    try:
        async with connection.transaction():
            await connection.execute(_LOCK)
            if not await connection.fetchval(_IS_COMPLETE, READER):
                for statement in _GRANTS:
                    await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return list(_GRANTS)
    return []
