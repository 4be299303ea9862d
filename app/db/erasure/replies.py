"""Replies that come again: whether they are stored under the identity that they had."""

from collections.abc import Collection
from typing import Final

import asyncpg

_STORED: Final = """
SELECT identity FROM inbound_messages WHERE identity = ANY($1::bytea[])
"""


async def stored_identities(
    connection: asyncpg.Connection, identities: Collection[bytes]
) -> frozenset[bytes]:
    """Those of *identities* under which a reply is stored."""
    rows = await connection.fetch(_STORED, list(identities))
    return frozenset(row[0] for row in rows)
