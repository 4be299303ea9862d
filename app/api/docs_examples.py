"""An example of each call for `/docs`, in curl, Python and JavaScript."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from app.api.document.operations import Operation

#: Where `make run` serves.
_HOST: Final = "http://127.0.0.1:8000"
_JSON: Final = "application/json"
#: Of paths, where the document has none.
_TOKEN: Final = {"token": "YOUR-CALLBACK-SECRET"}


class _Call(NamedTuple):
    method: str
    url: str
    needs_key: bool
    headers: Mapping[str, str]
    #: None without a body.
    body: Any
    has_json: bool


def examples_of(operation: Operation, document: Mapping[str, Any]) -> Mapping[str, str]:
    """The example of *operation* in each language; it is called with the key in `$KEY`."""
    call = _call(operation, document)
    return {"curl": _curl(call), "Python": _python(call), "JavaScript": _javascript(call)}


def _call(operation: Operation, document: Mapping[str, Any]) -> _Call:
    method, path, node = operation
    common = document["paths"][path].get("parameters", [])
    parameters = [*common, *node.get("parameters", ())]
    for parameter in parameters:
        if parameter["in"] == "path":
            example = parameter.get("example") or _TOKEN[parameter["name"]]
            path = path.replace(f"{{{parameter['name']}}}", quote(str(example), safe=""))
    headers = {one["name"]: one["example"] for one in parameters if _is_shown(one)}
    body = _body(node, document)
    if body is not None:
        headers |= {"Content-Type": _JSON}
    (answer, *_) = (node["responses"][status] for status in sorted(node["responses"]))
    return _Call(
        method.upper(),
        _HOST + path,
        bool(node.get("security")),
        headers,
        body,
        _JSON in answer.get("content", {}),
    )


def _is_shown(parameter: Mapping[str, Any]) -> bool:
    return (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")


def _body(node: Mapping[str, Any], document: Mapping[str, Any]) -> Any:  # noqa: ANN401 (any JSON)
    if "requestBody" not in node:
        return None
    content = node["requestBody"]["content"][_JSON]
    components = document["components"]
    if "examples" in content:
        name = next(iter(content["examples"]))
        return components["examples"][name]["value"]
    name = content["schema"]["$ref"].rpartition("/")[2]
    return components["schemas"][name]["examples"][0]


def _curl(call: _Call) -> str:
    words = ["curl"]
    if call.method == "HEAD":
        words.append("--head")
    elif call.method != ("GET" if call.body is None else "POST"):
        words += ["-X", call.method]
    # In double quotes, so that the shell puts in the key.
    key = ['-H "Authorization: Bearer $KEY"'] if call.needs_key else []
    rest = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in call.headers.items()]
    body = [] if call.body is None else ["-d " + shlex.quote(_text(call.body, indent=2))]
    return " \\\n  ".join([" ".join([*words, shlex.quote(call.url)]), *key, *rest, *body])


def _python(call: _Call) -> str:
    key = {"Authorization": "f\"Bearer {os.environ['KEY']}\""} if call.needs_key else {}
    # The content type follows from `json`.
    given = {name: _text(value) for name, value in call.headers.items() if name != "Content-Type"}
    headers = key | given
    lines = ["import os", ""] if call.needs_key else []
    lines += ["import httpx", "", "answer = httpx.request(", f'    "{call.method}",']
    lines.append(f"    {_text(call.url)},")
    if headers:
        lines.append("    headers={")
        lines += [f"        {_text(name)}: {value}," for name, value in headers.items()]
        lines.append("    },")
    if call.body is not None:
        lines.append(f"    json={_literal(call.body, '    ')},")
    lines += [")", "answer.raise_for_status()"]
    lines.append("print(answer.json())" if call.has_json else "print(answer.text)")
    return "\n".join(lines)


def _literal(value: object, indent: str) -> str:
    """*value*, any JSON, in Python's words."""
    inner = indent + "    "
    if isinstance(value, dict):
        lines = [f"{_text(name)}: {_literal(member, inner)}" for name, member in value.items()]
        begin, end = "{", "}"
    elif isinstance(value, list):
        lines = [_literal(element, inner) for element in value]
        begin, end = "[", "]"
    else:
        return _text(value) if isinstance(value, str) else repr(value)
    shown = "".join(f"{inner}{line},\n" for line in lines)
    return f"{begin}\n{shown}{indent}{end}" if lines else begin + end


def _javascript(call: _Call) -> str:
    key = {"Authorization": "`Bearer ${process.env.KEY}`"} if call.needs_key else {}
    headers = key | {name: _text(value) for name, value in call.headers.items()}
    options = [f"  method: {_text(call.method)},"] if call.method != "GET" else []
    if headers:
        options.append("  headers: {")
        options += [f"    {_text(name)}: {value}," for name, value in headers.items()]
        options.append("  },")
    if call.body is not None:
        body = _text(call.body, indent=2).replace("\n", "\n  ")
        options.append(f"  body: JSON.stringify({body}),")
    given = "".join(f"\n{line}" for line in options)
    end = f", {{{given}\n}}" if options else ""
    shown = "await answer.json()" if call.has_json else "await answer.text()"
    return (
        f"const answer = await fetch({_text(call.url)}{end});\n"
        "if (!answer.ok) throw new Error(await answer.text());\n"
        f"console.log({shown});"
    )


def _text(value: object, *, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
