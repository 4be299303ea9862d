"""
Which changes of an OpenAPI document break those who wrote their programs by the older one.

Answers may grow: members and failures may be added. Words of an enumeration may not: programs that
were made from it refuse a word that they do not know. Requests may be asked less of: what was
accepted stays accepted.
"""

from collections.abc import Iterator
from typing import Any, Final

from tests.openapi.documents import METHODS

Document = dict[str, Any]

_NOTHING: Final[Document] = {}
#: Bounds of requests that must not rise, and that must not fall.
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def breaks(old: Document, new: Document) -> list[str]:
    """Every break, by its place."""
    return list(_Comparison(old, new).run())


def needs_new_version(old: str, new: str) -> bool:
    """Whether *new*, after *old*, is not a version that may break: 1.x → 2.0, or 0.1 → 0.2."""
    before, after = _numbers(old), _numbers(new)
    digits = 1 if before[0] > 0 else 2
    return after[:digits] <= before[:digits]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")[:3]]


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._under_way: set[tuple[str, str, bool]] = set()

    def run(self) -> Iterator[str]:
        for path, item in self._old["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                place = f"{method.upper()} {path}"
                now = self._new["paths"].get(path, _NOTHING).get(method)
                if now is None:
                    yield f"{place}: removed"
                else:
                    yield from self._operation(place, item[method], now)

    def _operation(self, place: str, old: Document, new: Document) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"{place}: another operationId"
        if new.get("security", []) not in (old.get("security", []), []):
            yield f"{place}: needs another key"
        yield from self._parameters(place, old, new)
        yield from self._body(place, old.get("requestBody"), new.get("requestBody"))
        yield from self._answers(place, old["responses"], new["responses"])

    def _parameters(self, place: str, old: Document, new: Document) -> Iterator[str]:
        before = {(one["in"], one["name"]): one for one in old.get("parameters", ())}
        after = {(one["in"], one["name"]): one for one in new.get("parameters", ())}
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, _NOTHING).get("required"):
                yield f"{place}: needs the parameter {key[1]}"
        for key, parameter in before.items():
            here = f"{place} {key[1]}"
            if key not in after:
                yield f"{here}: parameter removed"
            else:
                yield from self._schema(
                    here, parameter["schema"], after[key]["schema"], is_answer=False
                )

    def _body(self, place: str, old: Document | None, new: Document | None) -> Iterator[str]:
        if new is None:
            if old is not None:
                yield f"{place}: takes no body any more"
            return
        if new.get("required") and not (old or _NOTHING).get("required"):
            yield f"{place}: needs a body"
        if old is not None:
            yield from self._content(f"{place} body", old, new, is_answer=False)

    def _answers(self, place: str, old: Document, new: Document) -> Iterator[str]:
        for status, answer in old.items():
            here = f"{place} {status}"
            if status in new:
                yield from self._content(here, answer, new[status], is_answer=True)
                yield from self._headers(here, answer, new[status])
            elif status[0] in "23":
                yield f"{here}: answer removed"

    def _headers(self, place: str, old: Document, new: Document) -> Iterator[str]:
        for name in old.get("headers", _NOTHING):
            if name not in new.get("headers", _NOTHING):
                yield f"{place}: header {name} removed"

    def _content(
        self, place: str, old: Document, new: Document, *, is_answer: bool
    ) -> Iterator[str]:
        for media, holder in old.get("content", _NOTHING).items():
            now = new.get("content", _NOTHING).get(media)
            if now is None:
                yield f"{place}: {media} removed"
            else:
                yield from self._schema(
                    place, holder.get("schema", {}), now.get("schema", {}), is_answer=is_answer
                )

    def _schema(
        self, place: str, old: Document, new: Document, *, is_answer: bool
    ) -> Iterator[str]:
        key = (str(old), str(new), is_answer)
        if key in self._under_way:  # a schema that contains itself
            return
        self._under_way.add(key)
        before, after = _plain(old, self._old), _plain(new, self._new)
        yield from _types(place, before, after, is_answer=is_answer)
        yield from _words(place, before, after, is_answer=is_answer)
        if not is_answer:
            yield from _bounds(place, before, after)
        yield from self._members(place, before, after, is_answer=is_answer)
        if "items" in before and "items" in after:
            yield from self._schema(
                f"{place}[]", before["items"], after["items"], is_answer=is_answer
            )
        yield from self._options(place, before, after, is_answer=is_answer)
        self._under_way.discard(key)

    def _members(
        self, place: str, old: Document, new: Document, *, is_answer: bool
    ) -> Iterator[str]:
        before, after = old.get("properties", _NOTHING), new.get("properties", _NOTHING)
        was, is_now = set(old.get("required", ())), set(new.get("required", ()))
        lost = (was - is_now if is_answer else is_now - was) & {*before, *after}
        for name in sorted(lost):
            yield f"{place}.{name}: {'not always there' if is_answer else 'needed'} now"
        for name, schema in before.items():
            if name in after:
                yield from self._schema(f"{place}.{name}", schema, after[name], is_answer=is_answer)
            elif after or "properties" in new:
                yield f"{place}.{name}: removed"

    def _options(
        self, place: str, old: Document, new: Document, *, is_answer: bool
    ) -> Iterator[str]:
        before, after = _by_name(old), _by_name(new)
        for name in before.keys() & after.keys():
            yield from self._schema(
                f"{place}<{name}>", before[name], after[name], is_answer=is_answer
            )
        if not is_answer and before.keys() - after.keys():
            yield f"{place}: takes less"
        if is_answer and before and after.keys() - before.keys():
            yield f"{place}: may be something else"


def _types(place: str, old: Document, new: Document, *, is_answer: bool) -> Iterator[str]:
    before, after = _type_names(old), _type_names(new)
    wider, narrower = (after, before) if is_answer else (before, after)
    # No type at all is any type.
    if narrower and not (wider and wider <= narrower):
        yield f"{place}: type {sorted(before) or 'any'} became {sorted(after) or 'any'}"
    elif old.get("format") != new.get("format"):
        yield f"{place}: format {old.get('format')} became {new.get('format')}"


def _words(place: str, old: Document, new: Document, *, is_answer: bool) -> Iterator[str]:
    before, after = _enumerated(old), _enumerated(new)
    if is_answer:
        if before is not None and (after is None or after - before):
            yield f"{place}: may be another word"
        return
    if after is None:
        return
    if before is None:
        yield f"{place}: takes certain words only"
    elif lost := before - after:
        yield f"{place}: does not take {', '.join(sorted(lost))} any more"


def _bounds(place: str, old: Document, new: Document) -> Iterator[str]:
    for name in _LOWER:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{place}: {name} rose"
    for name in _UPPER:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{place}: {name} fell"
    if new.get("pattern") not in (None, old.get("pattern")):
        yield f"{place}: another pattern"


def _plain(schema: Document, document: Document) -> Document:
    """*schema* without a reference, and with `X or null` as X of two types."""
    while "$ref" in schema:
        kind, name = schema["$ref"].removeprefix("#/components/").split("/")
        schema = document["components"][kind][name]
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(options) == 1 and len(schema["anyOf"]) > 1:
        inner = _plain(options[0], document)
        return inner | {"type": sorted({*_type_names(inner), "null"})}
    return schema


def _type_names(schema: Document) -> set[str]:
    types = schema.get("type", [])
    names = {types} if isinstance(types, str) else set(types)
    return names | {"integer"} if "number" in names else names


def _enumerated(schema: Document) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(word) for word in schema["enum"]} if "enum" in schema else None


def _by_name(schema: Document) -> dict[str, Document]:
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return {str(option.get("$ref") or option.get("type")): option for option in options}
