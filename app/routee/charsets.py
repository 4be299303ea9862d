"""Request bodies in other encodings than UTF-8, as UTF-8."""

import codecs
import encodings
import json
import pkgutil
from encodings.aliases import aliases
from functools import cache
from typing import Final, NamedTuple

#: Codecs that Python calls text encodings, and that no sender writes text in. With UTF-7 the `+` of
#: a telephone number would begin an escape.
_NOT_FOR_TEXT: Final = frozenset(
    (
        "charmap",
        "idna",
        "mbcs",
        "oem",
        "punycode",
        "raw_unicode_escape",
        "undefined",
        "unicode_escape",
        "utf_7",
    )
)
#: Only these names are looked up: Python remembers every name that it has not found.
_KNOWN: Final = (
    frozenset({module.name for module in pkgutil.iter_modules(encodings.__path__)} | aliases.keys())
    - {name for name, codec in aliases.items() if codec in _NOT_FOR_TEXT}
    - _NOT_FOR_TEXT
)
#: What these write is UTF-8 as well.
_UTF_8: Final = frozenset(("ascii", "utf-8", "utf-8-sig"))
_WIDE: Final = ("utf-16", "utf-32")
#: Other encodings have these characters where ASCII has them, so that a token can be masked in a
#: payload that is stored as it came.
_ASCII: Final = bytes(range(0x20, 0x7F))


class InUtf8(NamedTuple):
    """A request body in UTF-8."""

    #: In place of what could not be read are ill-formed bytes.
    octets: bytes
    #: What is stored: the same if nothing was lost, else the body as it came.
    payload: bytes


def in_utf8(body: bytes, charset: str) -> InUtf8 | None:
    """
    *body*, which is declared to be in *charset*.

    None if it is UTF-8 by that name, or cannot be read: the name is unknown or not that of a text
    encoding.
    """
    name = encodings.normalize_encoding(charset.strip(" \t\"'")).lower()
    encoding = _encoding_of(name) if name in _KNOWN else None
    return None if encoding is None else _transcoded(body, encoding)


def wide_in_utf8(body: bytes) -> InUtf8 | None:
    """*body* if it is UTF-16 or UTF-32, by its byte order mark or its zero bytes; else None."""
    encoding = json.detect_encoding(body)
    return _transcoded(body, encoding) if encoding.startswith(_WIDE) else None


@cache
def _encoding_of(name: str) -> str | None:
    """Python's name of a text encoding that is not UTF-8; None if it is none."""
    try:
        encoding = codecs.lookup(name).name
        if encoding.startswith(_WIDE):
            return encoding
        is_like_ascii = _ASCII.decode(encoding) == _ASCII.decode("ascii")
    except (LookupError, UnicodeError):  # it is no encoding, or none of texts
        return None
    return encoding if is_like_ascii and encoding not in _UTF_8 else None


def _transcoded(body: bytes, encoding: str) -> InUtf8 | None:
    try:
        octets = _without_mark(body.decode(encoding)).encode()
    except UnicodeError:
        pass
    else:
        return InUtf8(octets, octets)
    is_wide = encoding.startswith(_WIDE)
    # Lone surrogates stand for ill-formed bytes; UTF-16 itself can have such, and nothing else.
    errors = "surrogatepass" if is_wide else "surrogateescape"
    try:
        octets = _without_mark(body.decode(encoding, errors)).encode(errors=errors)
    except UnicodeError:
        return None
    return InUtf8(octets, octets if is_wide else body)


def _without_mark(text: str) -> str:
    return text.removeprefix("\ufeff")
