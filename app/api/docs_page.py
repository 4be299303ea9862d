"""
`/docs`, the OpenAPI document as a page for people, and `/openapi.json`, the document itself.

The page has no script and loads nothing, so it works without the internet, and no foreign code runs
where a person might type an API key.
"""

import asyncio
import json
from collections.abc import Iterable
from functools import cache
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt

from app.api.docs_examples import examples_of
from app.api.document.callbacks import TAG as CALLBACKS
from app.api.document.operations import Operation, operations_in
from app.api.parts import json_answer

router = APIRouter(include_in_schema=False)

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-cache",
}
#: Without markup in texts, and without images, which the page may not load.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).disable("image")
_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem; border-bottom: 1px solid #8886 }
section { margin: 1rem 0; padding: .4rem .8rem; border: 1px solid #8886; border-radius: .4rem }
section:target { border-color: #48f }
h3 { margin: .2rem 0; font-size: 1rem; font-weight: normal }
nav ul { columns: 24rem; list-style: none; padding: 0; margin: .3rem 0 }
summary { cursor: pointer }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { overflow: auto; padding: .6rem; background: #8882; border-radius: .4rem }
b { display: inline-block; min-width: 4.5rem }
"""


# Both are made once, in a thread: describing all routes takes a quarter of a second.
@router.get("/docs")
async def get_docs(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(await asyncio.to_thread(_page, request.app), headers=_HEADERS)


@router.get("/openapi.json")
async def get_document(request: Request) -> Response:
    """The document."""
    return json_answer(await asyncio.to_thread(_document, request.app))


@cache
def _document(app: Any) -> bytes:  # noqa: ANN401 (as below)
    return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()


@cache
def _page(app: Any) -> str:  # noqa: ANN401 (a FastAPI, cached by its identity)
    document: dict[str, Any] = app.openapi()
    info = document["info"]
    operations = list(operations_in(document))
    title = f"{escape(info['title'])} {escape(info['version'])}"
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{_MARKDOWN.render(info['summary'])}{_MARKDOWN.render(info['description'])}"
        '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
    )
    # What Routee calls comes last: people read here what they call.
    tags = sorted(document["tags"], key=lambda tag: bool(tag["name"] == CALLBACKS))
    schemas = document["components"]["schemas"]
    return "".join(
        (
            head,
            _index(tags, operations, schemas),
            *(_tag(tag, operations, document) for tag in tags),
            "<h2>Schemas</h2>",
            *(_schema(name, one) for name, one in schemas.items()),
        )
    )


def _index(
    tags: Iterable[dict[str, Any]], operations: Iterable[Operation], schemas: Iterable[str]
) -> str:
    """All calls with links, in words: the browser's own search finds them, as nothing is folded."""
    parts = []
    for tag in tags:
        lines = (
            f"<li><a href={_quoted('#' + node['operationId'])}><b>{escape(method.upper())}</b> "
            f"<code>{escape(path)}</code></a> {escape(node['summary'])}</li>"
            for method, path, node in operations
            if tag["name"] in node["tags"]
        )
        parts.append(f"<h3>{escape(tag['name'].capitalize())}</h3><ul>{''.join(lines)}</ul>")
    names = (f"<li><a href={_quoted('#' + name)}>{escape(name)}</a></li>" for name in schemas)
    return f"<nav>{''.join(parts)}<h3>Schemas</h3><ul>{''.join(names)}</ul></nav>"


def _tag(tag: dict[str, Any], operations: Iterable[Operation], document: dict[str, Any]) -> str:
    own = (_operation(one, document) for one in operations if tag["name"] in one.node["tags"])
    heading = f"<h2>{escape(tag['name'].capitalize())}</h2>{_MARKDOWN.render(tag['description'])}"
    return heading + "".join(own)


def _operation(operation: Operation, document: dict[str, Any]) -> str:
    method, path, node = operation
    common = document["paths"][path].get("parameters", [])
    scopes = [
        scope for one in node.get("security", ()) for names in one.values() for scope in names
    ]
    parts = (
        f"<section id={_quoted(node['operationId'])}><h3><b>{escape(method.upper())}</b> ",
        f"<code>{escape(path)}</code> {escape(node['summary'])}</h3>",
        _MARKDOWN.render(node["description"]),
        *(f"<p>Needs an API key of scope <code>{escape(scope)}</code>.</p>" for scope in scopes),
        _table(_parameter(one) for one in (*common, *node.get("parameters", ()))),
        _body(node.get("requestBody")),
        _table(_answer(status, one) for status, one in node["responses"].items()),
        *(
            f"<details><summary>Example in {escape(language)}</summary>"
            f"<pre>{escape(text)}</pre></details>"
            for language, text in examples_of(operation, document).items()
        ),
        "</section>",
    )
    return "".join(parts)


def _parameter(parameter: dict[str, Any]) -> tuple[str, str, str]:
    needed = ", needed" if parameter["required"] else ""
    return (
        f"<code>{escape(parameter['name'])}</code>",
        f"{escape(parameter['in'])}{needed}<br>{_type(parameter['schema'])}",
        _MARKDOWN.renderInline(parameter.get("description", "")),
    )


def _body(body: dict[str, Any] | None) -> str:
    if body is None:
        return ""
    media, content = next(iter(body["content"].items()))
    words = _MARKDOWN.renderInline(body.get("description", ""))
    return f"<p>Body: <code>{escape(media)}</code> {_type(content['schema'])} {words}</p>"


def _answer(status: str, answer: dict[str, Any]) -> tuple[str, str, str]:
    contents = answer.get("content", {}).values()
    types = "<br>".join(_type(content["schema"]) for content in contents if "schema" in content)
    return f"<b>{escape(status)}</b>", types, _MARKDOWN.render(answer["description"])


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    members = (
        (
            f"<code>{escape(member)}</code>",
            _type(node) + ("" if member in required else "<br>may be missing"),
            _MARKDOWN.renderInline(node.get("description", "")),
        )
        for member, node in schema.get("properties", {}).items()
    )
    examples = (
        f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
        for example in schema.get("examples", ())
    )
    words = _MARKDOWN.render(schema.get("description", ""))
    only = "" if "properties" in schema else f"<p>{_type(schema)}</p>"
    return "".join(
        (
            f"<section id={_quoted(name)}><h3><code>{escape(name)}</code></h3>",
            f"{words}{only}",
            _table(members),
            *examples,
            "</section>",
        )
    )


def _type(schema: dict[str, Any]) -> str:
    """*schema* in a few words, with links to the schemas that it references."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href={_quoted('#' + name)}>{escape(name)}</a>"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(map(_type, schema[choice]))
    words = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if words:
        return " or ".join(f"<code>{escape(str(word))}</code>" for word in words)
    if "items" in schema:
        return f"array of {_type(schema['items'])}"
    types = schema.get("type", "any JSON")
    named = types if isinstance(types, str) else " or ".join(types)
    return escape(" ".join(filter(None, (named, schema.get("format")))))


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _quoted(value: str) -> str:
    return f'"{escape(value)}"'
