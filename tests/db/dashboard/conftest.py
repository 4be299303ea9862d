from collections.abc import AsyncIterator

import pytest

from app.db.database import READ_SETTINGS, Database


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The database of this test, as the dashboard reaches it."""
    database = Database(url, name="tests", pool_items=2, session_settings=READ_SETTINGS)
    yield database
    await database.close()
