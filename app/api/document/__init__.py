"""
The OpenAPI document of the whole service.

FastAPI describes the routes. Added here are all other answers of each call, the callback endpoints,
which are not routes, descriptions and examples.
"""

from copy import deepcopy
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.document.answers import add_answers
from app.api.document.callbacks import CALLBACK_PATHS, WEBHOOKS
from app.api.document.cloud_events import add_cloud_events
from app.api.document.descriptions import (
    CONTACT,
    DESCRIPTION,
    LICENCE,
    SERVERS,
    SUMMARY,
    TAGS,
    add_descriptions,
)
from app.api.document.examples import add_examples
from app.api.document.exports import add_exports
from app.api.document.feed import open_feed
from app.api.document.names import renamed
from app.api.document.schemas import complete_schemas, drop_unnamed_schemas, take_no_null

_OPENAPI: Final = "3.1.0"


def document_of(app: FastAPI) -> dict[str, Any]:
    """The document of *app*, which has all routes, and of the callback endpoints."""
    document = renamed(
        get_openapi(
            title=app.title,
            version=version("routee-receiver"),
            openapi_version=_OPENAPI,
            summary=SUMMARY,
            description=DESCRIPTION,
            routes=app.routes,
            tags=TAGS,
        )
    )
    document["info"] |= {"contact": CONTACT, "license": LICENCE}
    document["servers"] = SERVERS
    document["paths"] = deepcopy(CALLBACK_PATHS) | document["paths"]
    document["webhooks"] = deepcopy(WEBHOOKS)
    complete_schemas(document)
    open_feed(document)
    add_cloud_events(document)
    take_no_null(document)
    add_answers(document)
    drop_unnamed_schemas(document)
    add_descriptions(document)
    add_examples(document)
    add_exports(document)
    return document
