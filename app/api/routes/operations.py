"""Probes and metrics."""

from fastapi import APIRouter, Response

from app.api.parts import PartsDep
from app.api.wire import Wire

router = APIRouter(tags=["operations"])


class Health(Wire):
    """An answer to a probe."""

    result: str


@router.get("/livez", summary="Is the process alive?")
async def get_livez() -> Health:
    """The process answers, so it is alive."""
    return Health(result="alive")


@router.get("/readyz", summary="Can it store and answer?")
async def get_readyz(parts: PartsDep) -> Health:
    """
    200 if the database answers, has the schema of this version and takes writes, and the last
    flushes of this process did not fail; else 503. The database is asked at most once a second.
    """
    await parts.readiness.require()
    return Health(result="ready")


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def get_metrics(parts: PartsDep) -> Response:
    """The metrics of this process, in the text format of Prometheus."""
    return Response(parts.metrics.exposition(), media_type="text/plain; version=0.0.4")
