"""Making the FastAPI application, which needs neither a database nor settings."""

from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.types import Lifespan

from app.api import docs_page
from app.api.document import document_of
from app.api.fast_reads import FastRead, FastReads
from app.api.problems import register_problems
from app.api.routes import (
    campaigns,
    events,
    exports,
    inbound_messages,
    messages,
    operations,
    quarantine,
    recipients,
    reconciliations,
    status,
)

_ROUTERS: Final = (
    status.router,
    messages.router,
    messages.one,
    campaigns.router,
    reconciliations.router,
    inbound_messages.router,
    events.router,
    exports.router,
    recipients.router,
    quarantine.router,
)


def make_api(
    *, operations_only: bool = False, lifespan: Lifespan[FastAPI] | None = None
) -> FastAPI:
    """
    All routes, or *operations_only*. The caller puts the `Parts` into its `state.parts`.

    Its document describes the whole service, callbacks included: which part of it a process answers
    depends on the deployment.
    """
    app = FastAPI(
        title="Routee Receiver",
        lifespan=lifespan,
        # FastAPI's own, which `OTEL_…` variables turn on, would name whole paths and queries, and
        # knows nothing of the fast routes: see `observability.tracing`.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=_operation_id,
        # FastAPI's pages load scripts from other hosts, next to where API keys are typed, and its
        # document is written anew for each call: `docs_page` serves both.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.openapi = api_document  # type: ignore[method-assign]
    register_problems(app)
    app.include_router(operations.router)
    app.include_router(docs_page.router)
    if not operations_only:
        for router in _ROUTERS:
            app.include_router(router)
    return app


def with_fast_reads(api: FastAPI) -> FastReads:
    """*api* behind its fast routes."""
    routes = [route for router in _ROUTERS for route in router.routes]
    return FastReads(api, [route for route in routes if isinstance(route, FastRead)])


@cache
def api_document() -> dict[str, Any]:
    """The OpenAPI document of the whole service; callers must not change it."""
    return document_of(make_api())


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)
