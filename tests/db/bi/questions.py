"""The questions that the README answers in SQL, for all who try them."""

import re
from pathlib import Path
from typing import Final

#: The campaign that the README asks for by name.
CAMPAIGN_NAME: Final = "spring-2026"

_README: Final = Path(__file__).parents[3] / "README.md"
_SECTION: Final = re.compile(r"^## For analysts\n(.*?)^## ", re.DOTALL | re.MULTILINE)
#: A sentence of its own, and the SQL below it.
_QUESTION: Final = re.compile(r"^([^\n]*\?)\n\n```sql\n(.*?)```", re.DOTALL | re.MULTILINE)


def questions() -> dict[str, str]:
    """Each question's SQL."""
    section = _SECTION.search(_README.read_text())
    return dict(_QUESTION.findall(section[1])) if section else {}
