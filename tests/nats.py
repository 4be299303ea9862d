"""What tests say to a NATS server themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from app.buffer.connection import Buffer
from app.buffer.stream import wanted_stream

_MAX_BYTES = 4 * 1024**2


@asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[JetStreamContext]:
    """A connection to JetStream at *url*, servers separated by commas."""
    client = await nats.connect(url.split(","))
    try:
        yield client.jetstream()
    finally:
        await client.close()


def stream(name: str, *, replicas: int = 1, **changes: Any) -> StreamConfig:  # noqa: ANN401 (any setting)
    """The configuration that the service wants, with *changes*."""
    return wanted_stream(name, max_bytes=_MAX_BYTES, replicas=replicas).evolve(**changes)


def unsafe_buffer(url: str, name: str) -> Buffer:
    """A buffer in a stream on one server, which is accepted although it is not durable."""
    return Buffer([url], stream=name, max_bytes=_MAX_BYTES, is_unsafe_allowed=True)
