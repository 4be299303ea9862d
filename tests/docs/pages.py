"""The pages that people read, as text."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
#: All pages, those of the decisions included.
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")


def name_of(page: Path) -> str:
    """How tests and people call *page*."""
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    """*page* without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks_of(page: Path, language: str) -> list[str]:
    """The blocks of code of *page* in *language*."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [text for tag, text in found if tag == language]


def anchors_of(page: Path) -> set[str]:
    """Where links into *page* can lead, spelt as GitHub spells it."""
    return {
        _NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(prose_of(page))
    }
