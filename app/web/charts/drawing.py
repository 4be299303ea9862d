"""Elements of SVG, with every text and attribute escaped."""

import re
from typing import Final

from markupsafe import Markup, escape

#: What XML cannot contain, and what would break a line.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BLANKS: Final = re.compile(r"\s+")
_DIGITS: Final = 3


def element(name: str, *children: str, **attributes: object) -> Markup:
    """
    An element; children that are no `Markup` are texts.

    An attribute is written with hyphens for underscores (`class_` is `class`), and left out if it
    is None.
    """
    written = "".join(
        f' {attribute.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for attribute, value in attributes.items()
        if value is not None
    )
    inner = Markup().join(
        child if isinstance(child, Markup) else clean(child) for child in children
    )
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704 (both are escaped)


def together(*elements: Markup) -> Markup:
    """All *elements*, one after the other."""
    return Markup().join(elements)


def percent_of_width(share: float) -> str:
    """A coordinate: *share* of the width, of which the whole is 1."""
    return f"{_short(share * 100)}%"


def clean(text: str) -> str:
    """*text* on one line, and without what XML cannot contain."""
    return _BLANKS.sub(" ", _UNPRINTABLE.sub("\ufffd", text)).strip()


def _attribute(value: object) -> str:
    return _short(value) if isinstance(value, float) else clean(str(value))


def _short(number: float) -> str:
    return f"{number:.{_DIGITS}f}".rstrip("0").rstrip(".")
