"""The roles of analysts, which `bi-user create` makes before the first login."""

import asyncpg
import pytest

from app.db.bi.access import make_roles


@pytest.fixture
async def roles(connection: asyncpg.Connection) -> None:
    """Roles that may read the views of the test's database; its superuser sees numbers whole."""
    assert await make_roles(connection) == []
