"""Judging an exchange by an OpenAPI document."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.openapi.documents import operations
from tests.openapi.recording import Exchange
from tests.openapi.validation import faults

Document = dict[str, Any]


class Contract:
    """What *document* says about requests and answers. A default answer stands for all refusals."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._operations = sorted(
            (
                (method.upper(), _pattern(path), path, node)
                for method, path, node in operations(document)
            ),
            key=lambda operation: "{" in operation[2],
        )

    def faults(self, exchange: Exchange) -> list[str]:
        """Everything that the document does not allow, in the request and in the answer."""
        operation = self._find(exchange)
        if operation is None:
            return [f"{exchange.method} {exchange.path} is no operation"]
        node, common = operation
        return [
            *self._query_faults(node, common, exchange),
            *self._security_faults(node, exchange),
            *self._request_faults(node, exchange),
            *self._answer_faults(node, exchange),
        ]

    def operation_id(self, exchange: Exchange) -> str:
        operation = self._find(exchange)
        assert operation is not None
        name: str = operation[0]["operationId"]
        return name

    def _find(self, exchange: Exchange) -> tuple[Document, list[Document]] | None:
        for method, pattern, path, node in self._operations:
            if method == exchange.method and pattern.fullmatch(exchange.path):
                return node, self._document["paths"][path].get("parameters", [])
        return None

    def _query_faults(
        self, node: Document, common: list[Document], exchange: Exchange
    ) -> list[str]:
        known = {
            one["name"]: one["schema"]
            for one in map(self._resolved, (*common, *node.get("parameters", ())))
            if one["in"] == "query"
        }
        found = []
        for name, text in parse_qsl(exchange.query, keep_blank_values=True):
            if name not in known:
                found.append(f"query: {name} is no parameter")
                continue
            value = int(text) if known[name].get("type") == "integer" else text
            found += self._schema_faults("query", known[name], value)
        return found

    def _security_faults(self, node: Document, exchange: Exchange) -> list[str]:
        requirements: list[Document] = node.get("security") or self._document["security"]
        (name,) = requirements[0]
        scheme = self._document["components"]["securitySchemes"][name]["scheme"]
        given = exchange.headers.get("authorization", "").partition(" ")[0].lower()
        return [] if given == scheme else [f"authorization: {given!r} instead of {scheme!r}"]

    def _request_faults(self, node: Document, exchange: Exchange) -> list[str]:
        if "requestBody" not in node:
            return ["request: a body where there is none"] if exchange.body else []
        return self._body_faults("request", node["requestBody"], exchange.headers, exchange.body)

    def _answer_faults(self, node: Document, exchange: Exchange) -> list[str]:
        answers = node["responses"]
        if exchange.status < 400 and str(exchange.status) not in answers:
            return [f"answer: {exchange.status} is no success here"]
        answer = self._resolved(answers.get(str(exchange.status)) or answers["default"])
        return self._body_faults("answer", answer, exchange.answer_headers, exchange.answer)

    def _body_faults(
        self,
        what: str,
        holder: Document,
        headers: Mapping[str, str],
        body: bytes,
    ) -> list[str]:
        if "content" not in holder:
            return [f"{what}: a body where there is none"] if body else []
        media = headers.get("content-type", "").partition(";")[0]
        if media not in holder["content"]:
            return [f"{what}: {media!r} is not among {list(holder['content'])}"]
        is_form = media == "application/x-www-form-urlencoded"
        value = dict(parse_qsl(body.decode())) if is_form else json.loads(body)
        return self._schema_faults(what, holder["content"][media]["schema"], value)

    def _schema_faults(self, what: str, schema: Document, value: object) -> list[str]:
        return [f"{what}: {fault}" for fault in faults(self._document, schema, value)]

    def _resolved(self, node: Document) -> Document:
        if "$ref" not in node:
            return node
        found: Any = self._document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        resolved: Document = found
        return resolved


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
