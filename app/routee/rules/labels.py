"""The only file that knows how a text is filled in for each recipient."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from app.routee.rules.findings import Caution, Finding, member, member_path

_LABEL: Final = re.compile(r"\[~([^\[\]]+)\]")

#: Spellings of other services that stand in no ordinary text.
_UNMISTAKABLE: Final = re.compile(
    r"\{\{[\w .-]{1,40}\}\}"  # {{name}}
    r"|\$\{[\w .-]{1,40}\}"  # ${name}
    r"|\*\|[\w .-]{1,40}\|\*"  # *|name|*
    r"|(?<![\w%])%[A-Za-z_]{2,40}%(?![\w%])"  # %name%, but not 10%off%
)
#: Spellings that an ordinary text can have, too: [sale], <3, ~struck out~. Only their words tell.
_AMBIGUOUS: Final = re.compile(
    r"\[([\w .-]{1,40})\]|<([\w .-]{1,40})>|\{([\w .-]{1,40})\}|~([\w.-]{1,40})~"
    r"|(?<!\w)#([\w.-]{1,40})#"
)
# fmt: off
_WORDS_OF_PERSONS: Final = frozenset((
    "name", "firstname", "lastname", "surname", "fullname", "username", "nickname",
    "customername", "clientname", "customer", "recipient", "email",
    "phonenumber", "mobilenumber", "msisdn",
))
# fmt: on
_SEPARATORS: Final = re.compile(r"[\s_.-]+")


def check_labels(request: object) -> Iterator[Finding]:
    """Warn of labels and fallback values that do not match, and of what is no label."""
    body = member(request, "body")
    text, values = member(body, "text"), member(body, "fallbackValues")
    if not isinstance(text, str):
        text = ""
    values = values if isinstance(values, dict) else {}
    yield from _check_fallbacks(frozenset(_LABEL.findall(text)), values)
    yield from _check_other_spellings(_LABEL.sub("", text), values)


def _check_fallbacks(labels: frozenset[str], values: Mapping[object, object]) -> Iterator[Finding]:
    filled = [key for key, value in values.items() if value is not None]
    for label in sorted(labels.difference(filled)):
        yield Caution(
            "label-without-fallback",
            "body.text",
            f"has the label {_shown(f'[~{label}]')} without a value in body.fallbackValues: who "
            "has no value of their own gets no sensible text",
        )
    for key in (key for key in filled if key not in labels):
        yield Caution(
            "fallback-not-used",
            member_path("body.fallbackValues", key),
            "is not used: body.text has no label of this name, written [~name]",
        )


def _check_other_spellings(text: str, values: Mapping[object, object]) -> Iterator[Finding]:
    words = _WORDS_OF_PERSONS | {_folded(key) for key in values if isinstance(key, str)}
    found = [match[0] for match in _UNMISTAKABLE.finditer(text)]
    rest = _UNMISTAKABLE.sub("", text)
    found += [match[0] for match in _AMBIGUOUS.finditer(rest) if _is_word(match, words)]
    for spelling in dict.fromkeys(found):
        yield Caution(
            "looks-personalised",
            "body.text",
            f"has {_shown(spelling)}, which is sent as it stands: Routee fills in labels that "
            "are written [~name]",
        )


def _is_word(match: re.Match[str], words: frozenset[str]) -> bool:
    return _folded(next(filter(None, match.groups()), "")) in words


def _folded(word: str) -> str:
    return _SEPARATORS.sub("", word).casefold()


def _shown(spelling: str) -> str:
    """*spelling* in a message: short, and with nothing that cannot be sent."""
    return spelling[:60].encode(errors="replace").decode().replace("\x00", "?")
