"""The only file that knows how SQLAlchemy reaches the database."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_DRIVER: Final = "postgresql+asyncpg://"


def make_engine(
    url: str, *, name: str, pool_items: int, statement_timeout_seconds: float
) -> AsyncEngine:
    """
    An engine with a pool of at most *pool_items* connections to a `postgresql://` *url*.

    *name* is what `pg_stat_activity` shows.
    """
    return create_async_engine(
        _DRIVER + url.partition("://")[2],
        pool_size=pool_items,
        max_overflow=0,
        pool_timeout=statement_timeout_seconds,
        pool_pre_ping=True,
        connect_args={
            "timeout": statement_timeout_seconds,
            "server_settings": {
                "application_name": f"routee-receiver {name}",
                "statement_timeout": str(int(statement_timeout_seconds * 1000)),
                "jit": "off",
            },
        },
    )
