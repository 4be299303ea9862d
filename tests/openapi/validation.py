"""Judging values by the schemas of a document."""

from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.protocols import Validator


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Validator:
    """For *schema*, whose references lead into *document*."""
    return Draft202012Validator(
        {"components": document["components"], "allOf": [schema]}, format_checker=FormatChecker()
    )


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:  # noqa: ANN401 (any JSON)
    """What is wrong with *value*, with the place of each."""
    found = sorted(
        validator(document, schema).iter_errors(value), key=lambda error: error.json_path
    )
    return [f"{error.json_path}: {error.message}" for error in found]
