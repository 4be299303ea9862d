"""The only file that knows how SQLAlchemy reaches the database."""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def make_engine(
    url: str, *, name: str, pool_items: int, statement_timeout_seconds: float
) -> AsyncEngine:
    """
    An engine with a pool of at most *pool_items* connections to a `postgresql://` *url*.

    *name* is what `pg_stat_activity` shows.
    """
    settings = {
        "application_name": f"routee-receiver {name}",
        "statement_timeout": str(int(statement_timeout_seconds * 1000)),
        "jit": "off",
    }

    # The driver reads the URL itself: SQLAlchemy would not know `sslmode` and several hosts.
    async def _connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            url, timeout=statement_timeout_seconds, server_settings=settings
        )

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connect,
        pool_size=pool_items,
        max_overflow=0,
        pool_timeout=statement_timeout_seconds,
        pool_pre_ping=True,
    )
