"""The only file that knows how SQLAlchemy reaches the database."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncpg
from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db.connecting import connect
from app.observability import tracing

#: The schema of the service's tables.
SCHEMA: Final = "receiver"
#: Sessions look for tables there alone, and not in `public`, where other programs have theirs.
SEARCH_PATH: Final = {"search_path": SCHEMA}
_GRACE_SECONDS: Final = 1.0


def make_engine(  # noqa: PLR0913 (each by its name)
    url: str,
    *,
    name: str,
    pool_items: int,
    statement_timeout_seconds: float,
    session_settings: Mapping[str, str] | None = None,
    on_connect: Callable[[asyncpg.Connection], object] = lambda _: None,
) -> AsyncEngine:
    """
    An engine with a pool of at most *pool_items* connections to a `postgresql://` *url*.

    *name* is what `pg_stat_activity` shows. Each connection starts with *session_settings*, and is
    given to *on_connect* then.
    """
    settings = {
        "application_name": f"routee-receiver {name}",
        "statement_timeout": str(int(statement_timeout_seconds * 1000)),
        "jit": "off",
        # An intent to launch is durable before Routee is called, whatever the server's default is.
        "synchronous_commit": "on",
        **SEARCH_PATH,
        **(session_settings or {}),
    }

    # asyncpg reads the URL itself: SQLAlchemy does not support `sslmode` and several hosts.
    async def _connect() -> asyncpg.Connection:
        connection = await connect(
            url,
            timeout=statement_timeout_seconds,
            # The server's limit does not help against a network that has gone silent.
            command_timeout=statement_timeout_seconds + _GRACE_SECONDS,
            server_settings=settings,
        )
        on_connect(connection)
        return connection

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connect,
        pool_size=pool_items,
        max_overflow=0,
        pool_timeout=statement_timeout_seconds,
        pool_pre_ping=True,
    )
    _trace(engine)
    return engine


def _trace(engine: AsyncEngine) -> None:
    """Note the statements of *engine* in traces; it prepares them, so connections do not."""
    if (note := tracing.noting_statements()) is None:
        return

    def _began(*arguments: Any) -> None:  # noqa: ANN401 (connection, cursor, SQL, values, context)
        arguments[4].began_ns = time.time_ns()

    def _ended(*arguments: Any) -> None:  # noqa: ANN401
        note(arguments[2], arguments[4].began_ns, None)

    def _failed(failure: ExceptionContext) -> None:
        began_ns = getattr(failure.execution_context, "began_ns", None)
        if began_ns is not None and failure.statement is not None:
            note(failure.statement, began_ns, failure.original_exception)

    event.listen(engine.sync_engine, "before_cursor_execute", _began)
    event.listen(engine.sync_engine, "after_cursor_execute", _ended)
    event.listen(engine.sync_engine, "handle_error", _failed)
