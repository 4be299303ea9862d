"""The roles of analysts, and seeing to it that they have their rights and no others."""

from typing import Final

import asyncpg

#: Its members read the views of `bi_v1`.
READER: Final = "bi_reader"
#: Members of this one as well see telephone numbers whole.
READER_PII: Final = "bi_reader_pii"

#: It comes with the schema (migration 0008), and says there what it does.
_GRANT: Final = "SELECT grant_bi_access()"


async def grant_bi_access(connection: asyncpg.Connection) -> list[str]:
    """
    Give the roles of analysts their rights, making them if need be.

    Returns:
        The statements that are still to be run, by somebody who may.
    """
    try:
        lacking = await connection.fetchval(_GRANT)
    except asyncpg.InsufficientPrivilegeError:
        # The schema belongs to another role, whose it is to grant.
        return [_GRANT]
    return [str(statement) for statement in lacking]
