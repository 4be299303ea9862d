"""Placeholders in a text, `[~name]`, that Routee fills in for each recipient."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from app.routee.rules.findings import Caution, Finding, member, member_path

_PLACEHOLDER: Final = re.compile(r"\[~([^\[\]]+)\]")

#: Placeholders of other services, in spellings that no ordinary text has.
_UNMISTAKABLE: Final = re.compile(
    r"\{\{[\w .-]{1,40}\}\}"  # {{name}}
    r"|\$\{[\w .-]{1,40}\}"  # ${name}
    r"|\*\|[\w .-]{1,40}\|\*"  # *|name|*
    r"|(?<![\w%])%[A-Za-z_]{2,40}%(?![\w%])"  # %name%, but not 10%off%
)
#: Ordinary texts have these too, [sale] or ~struck out~, so they count only with a known word.
_AMBIGUOUS: Final = re.compile(
    r"\[([\w .-]{1,40})\]|<([\w .-]{1,40})>|\{([\w .-]{1,40})\}|~([\w.-]{1,40})~"
    r"|(?<!\w)#([\w.-]{1,40})#"
)
# fmt: off
_PERSONAL_WORDS: Final = frozenset((
    "name", "firstname", "lastname", "surname", "fullname", "username", "nickname",
    "customername", "clientname", "customer", "recipient", "email",
    "phonenumber", "mobilenumber", "msisdn",
))
# fmt: on
_SEPARATORS: Final = re.compile(r"[\s_.-]+")


def check_placeholders(request: object) -> Iterator[Finding]:
    """Warn of placeholders and fallback values that do not match, and of other services' syntax."""
    body = member(request, "body")
    text, values = member(body, "text"), member(body, "fallbackValues")
    if not isinstance(text, str):
        text = ""
    values = values if isinstance(values, dict) else {}
    yield from _check_fallbacks(frozenset(_PLACEHOLDER.findall(text)), values)
    yield from _check_other_spellings(_PLACEHOLDER.sub("", text), values)


def _check_fallbacks(names: frozenset[str], values: Mapping[object, object]) -> Iterator[Finding]:
    filled = [key for key, value in values.items() if value is not None]
    for name in sorted(names.difference(filled)):
        yield Caution(
            "placeholder-without-fallback",
            "body.text",
            f"has the placeholder {_shown(f'[~{name}]')} without a value in body.fallbackValues: "
            "recipients who have no value of their own get no sensible text",
        )
    for key in (key for key in filled if key not in names):
        yield Caution(
            "fallback-not-used",
            member_path("body.fallbackValues", key),
            "is not used: body.text has no placeholder of this name, written [~name]",
        )


def _check_other_spellings(text: str, values: Mapping[object, object]) -> Iterator[Finding]:
    words = _PERSONAL_WORDS | {_folded(key) for key in values if isinstance(key, str)}
    found = [match[0] for match in _UNMISTAKABLE.finditer(text)]
    rest = _UNMISTAKABLE.sub("", text)
    found += [match[0] for match in _AMBIGUOUS.finditer(rest) if _is_word(match, words)]
    for spelling in dict.fromkeys(found):
        yield Caution(
            "looks-personalised",
            "body.text",
            f"has {_shown(spelling)}, which is sent unchanged: Routee fills in placeholders "
            "that are written [~name]",
        )


def _is_word(match: re.Match[str], words: frozenset[str]) -> bool:
    return _folded(next(filter(None, match.groups()), "")) in words


def _folded(word: str) -> str:
    return _SEPARATORS.sub("", word).casefold()


def _shown(spelling: str) -> str:
    """*spelling* for a message: shortened, and without characters that JSON cannot hold."""
    return spelling[:60].encode(errors="replace").decode().replace("\x00", "?")
