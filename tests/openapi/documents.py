"""The documents that are kept in the repository."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.released.names import releases

FOLDER = Path(__file__).parents[2] / "openapi"
METHODS = ("get", "put", "post", "delete", "head", "patch")


def committed() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_text("utf-8"))
    return document


def released() -> dict[str, Any] | None:
    """The document of the last release; None before the first."""
    found = list(releases("openapi.json").values())
    return found[-1] if found else None


def routee() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "routee.yaml").read_text("utf-8"))
    return document


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and the operation itself."""
    return [
        (method, path, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
