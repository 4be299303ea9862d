"""The HTTP API as a FastAPI application, which needs neither a database nor settings to be made."""

from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.types import StatelessLifespan

from app.api import docs_page
from app.api.caching import NoStore
from app.api.document import document_of
from app.api.problems import register_problems
from app.api.routes import (
    campaigns,
    events,
    exports,
    inbound_messages,
    messages,
    operations,
    recipients,
    status,
)

_NOUNS: Final = (status, messages, campaigns, inbound_messages, events, exports, recipients)


def make_api(
    *, operations_only: bool = False, lifespan: StatelessLifespan[FastAPI] | None = None
) -> FastAPI:
    """
    All routes, or *operations_only*. Whoever serves them puts the `Parts` into its `state.parts`.

    Its document is that of the whole service, callbacks included: which part of it a process
    answers is a matter of the deployment.
    """
    app = FastAPI(
        title="Routee Receiver",
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        # Their pages would load scripts from elsewhere, into a place where API keys are typed.
        docs_url=None,
        redoc_url=None,
    )
    app.openapi = api_document  # type: ignore[method-assign]
    register_problems(app)
    app.add_middleware(NoStore)
    app.include_router(operations.router)
    app.include_router(docs_page.router)
    if not operations_only:
        for noun in _NOUNS:
            app.include_router(noun.router)
    return app


@cache
def api_document() -> dict[str, Any]:
    """The OpenAPI document of the whole service; whoever gets it leaves it as it is."""
    return document_of(make_api())


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)
