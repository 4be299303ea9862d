"""
The OpenAPI document of the whole service.

What the routes say of themselves is completed here: every answer that a call can give, the callback
endpoints, which are no routes, and examples.
"""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.document.answers import add_answers
from app.api.document.callbacks import CALLBACK_PATHS, WEBHOOKS
from app.api.document.examples import add_examples
from app.api.document.exports import add_exports
from app.api.document.names import renamed
from app.api.document.schemas import complete_schemas
from app.api.document.words import DESCRIPTION, SUMMARY, TAGS, add_words

_OPENAPI: Final = "3.1.0"


def document_of(app: FastAPI) -> dict[str, Any]:
    """The document of *app*, which has all routes, and of the callback endpoints before it."""
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
    document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    document["paths"] = CALLBACK_PATHS | document["paths"]
    document["webhooks"] = WEBHOOKS
    complete_schemas(document)
    add_answers(document)
    add_words(document)
    add_examples(document)
    add_exports(document)
    return document
