"""Writing YAML: blocks of mappings and lists, whose keys and scalars are JSON."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Value = Mapping[str, "Value"] | Sequence["Value"] | str | int | float | bool | None

#: Keys that no YAML reads as anything but themselves.
_PLAIN: Final = re.compile(r"[A-Za-z$][A-Za-z0-9]+")
#: Characters that YAML allows as escapes only; JSON escapes those below a blank.
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def as_yaml(value: Value) -> str:
    """*value*, JSON of numbers without exponents, as a YAML document that says the same."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Value) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from _under(f"{_key(key)}:", member)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for element in value:
            first, *others = _lines(element)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    else:
        yield _scalar(value)


def _under(key: str, value: Value) -> Iterator[str]:
    if isinstance(value, Mapping | list | tuple) and value:
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {_scalar(value)}"


def _key(key: str) -> str:
    is_plain = _PLAIN.fullmatch(key) and key.lower() not in _WORDS
    return key if is_plain else _scalar(key)


def _scalar(value: Value) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
