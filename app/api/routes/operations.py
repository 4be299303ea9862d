"""Probes and metrics."""

from fastapi import APIRouter, Response
from pydantic import Field

from app.api.parts import PartsDep
from app.api.wire import Wire

router = APIRouter(tags=["operations"])


class Health(Wire):
    """An answer to a probe."""

    result: str


class BufferBacklog(Wire):
    """What the buffer has acknowledged, and the database does not have yet."""

    batches: int = Field(description="Messages in the buffer, each with some callbacks.")
    bytes: int = Field(description="Their size.")
    lag_seconds: float = Field(description="The age of the oldest.")


class Ready(Health):
    """The answer of a process that is ready."""

    buffer: BufferBacklog | None = Field(
        description="How much is not stored yet; null without a buffer."
    )


@router.get("/livez", summary="Is the process alive?")
async def get_livez() -> Health:
    """The process answers, so it is alive."""
    return Health(result="alive")


@router.get("/readyz", summary="Can it store and answer?")
async def get_readyz(parts: PartsDep) -> Ready:
    """
    200 if the database answers, has the schema of this version and takes writes, and the last
    flushes of this process did not fail; else 503. The database is asked at most once a second.

    With a buffer, 200 if that is durable and takes what is published, whether or not the database
    answers; `buffer` says then how much the database does not have yet.
    """
    await parts.readiness.require()
    watch = parts.readiness.buffer
    if watch is None:
        return Ready(result="ready", buffer=None)
    backlog = BufferBacklog(
        batches=watch.backlog.messages,
        bytes=watch.backlog.octets,
        lag_seconds=round(watch.lag_seconds(), 3),
    )
    return Ready(result="ready", buffer=backlog)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def get_metrics(parts: PartsDep) -> Response:
    """The metrics of this process and its fellow workers, in the text format of Prometheus."""
    return Response(parts.metrics.exposition(), media_type="text/plain; version=0.0.4")
