"""The service as an operator runs it, and what tests post to it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.domain.api_key import Scope, digest, make_key
from app.sandbox.processes import (
    PATIENCE_SECONDS,
    Postgres,
    ServiceProcess,
    children_of,
    eventually,
    free_port,
)
from tests.promises.load import Callback, Sender

__all__ = [
    "FLOWING_ITEMS",
    "SECRET",
    "SIGNING_KEY",
    "Postgres",
    "Service",
    "answers",
    "children_of",
    "eventually",
    "free_port",
    "made_key",
    "posting",
]

SECRET = "secret-of-all-callbacks-0123456789abcdef"
SIGNING_KEY = "key-that-signs-the-tokens-0123456789abcdef"
#: How many callbacks are acknowledged before a test breaks something: the load is in full flow
#: then, on any machine.
FLOWING_ITEMS = 100


class Service(ServiceProcess):
    """`routee-receiver serve`, with a sender of callbacks."""

    def __init__(  # noqa: PLR0913 (what differs between tests)
        self,
        database_url: str,
        folder: Path,
        *,
        workers: int = 1,
        surface: str = "all",
        has_operations_port: bool = False,
        has_api_port: bool = False,
        drain_seconds: float = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        port = free_port()
        super().__init__(
            {
                "RECEIVER_DATABASE_URL": database_url,
                "RECEIVER_CALLBACK_SECRETS": SECRET,
                "RECEIVER_SIGNING_KEYS": SIGNING_KEY,
                "RECEIVER_LOG_FORMAT": "json",
                "RECEIVER_DRAIN_SECONDS": str(drain_seconds),
                "RECEIVER_OPERATIONS_PORT": str(free_port()) if has_operations_port else "",
                "RECEIVER_API_PORT": str(free_port()) if has_api_port else "",
                **(settings or {}),
            },
            folder / f"service-{port}.log",
            port=port,
            options=[f"--surface={surface}"],
            workers=workers,
        )

    def sender(self, *, connections: int = 32, kind: str = "status", token: str = SECRET) -> Sender:
        """A sender that posts callbacks to the service."""
        return Sender(self.port, f"/callbacks/{token}/{kind}", connections)


async def answers(
    sender: Sender,
    status: int,
    *,
    items: int = 1,
    within_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Return once *items* more callbacks are answered *status*."""
    seen = len(sender.answers)

    async def _are() -> bool:
        return sum(answer.status == status for answer in sender.answers[seen:]) >= items

    await eventually(_are, within_seconds=within_seconds)


@asynccontextmanager
async def posting(sender: Sender, callbacks: Iterable[Callback]) -> AsyncIterator[None]:
    """Post *callbacks* until the block ends; it begins when FLOWING_ITEMS are acknowledged."""
    enough = asyncio.Event()
    task = asyncio.create_task(sender.send(callbacks, until=enough.is_set))
    try:
        await answers(sender, 200, items=FLOWING_ITEMS)
        yield
    finally:
        enough.set()
        await task


async def made_key(url: str, *scopes: Scope) -> str:
    """A new API key of *scopes* in the database at *url*."""
    key = make_key()
    database = Database(url, name="tests", pool_items=1)
    await add_api_key(
        database, name="tests", sha256=digest(key), scopes=frozenset(scopes), expires_at=None
    )
    await database.close()
    return key
