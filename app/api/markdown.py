"""
The little Markdown that descriptions have, as HTML: paragraphs, lists, code, bold text and links.

All text is escaped, and a link leads to a page of the web or to a place on the same page.
"""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Final

_CODE: Final = re.compile(r"`([^`]+)`")
_BOLD: Final = re.compile(r"\*\*([^*]+)\*\*")
_LINK: Final = re.compile(r"\[([^\]]+)\]\(((?:https?://|#)[^)\s]+)\)")
_ITEM: Final = "- "


def html_of(text: str) -> str:
    """*text* as blocks."""
    return "".join(_blocks(text))


def inline_html_of(text: str) -> str:
    """*text*, a line or a sentence, without blocks."""
    # Every second part is code, in which nothing else counts.
    parts = _CODE.split(text)
    return "".join(
        f"<code>{escape(part)}</code>" if at % 2 else _marked(part) for at, part in enumerate(parts)
    )


def _marked(text: str) -> str:
    bold = _BOLD.sub(r"<strong>\1</strong>", escape(text))
    return _LINK.sub(r'<a href="\2">\1</a>', bold)


def _blocks(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text.strip()):
        # A list may follow its introduction without an empty line.
        for is_list, lines in groupby(_lines(block), key=lambda line: line.startswith(_ITEM)):
            if is_list:
                items = (inline_html_of(line.removeprefix(_ITEM)) for line in lines)
                yield f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
            else:
                yield f"<p>{inline_html_of(' '.join(lines))}</p>"


def _lines(block: str) -> Iterator[str]:
    """The lines of *block*, each item of a list on one."""
    item: list[str] = []
    for line in map(str.rstrip, block.splitlines()):
        if line.startswith(_ITEM) or (item and not line.startswith(" ")):
            yield from _joined(item)
            item = []
        if line.startswith(_ITEM) or item:
            item.append(line if not item else line.strip())
        elif line:
            yield line.strip()
    yield from _joined(item)


def _joined(item: list[str]) -> Iterator[str]:
    if item:
        yield " ".join(item)
