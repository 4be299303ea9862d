"""The questions that docs/analysts.md answers in SQL, for all tests that ask them."""

import re
from pathlib import Path
from typing import Final

#: The campaign that the page asks for by name.
CAMPAIGN_NAME: Final = "spring-2026"

_PAGE: Final = Path(__file__).parents[3] / "docs" / "analysts.md"
#: A sentence of its own, and the SQL below it.
_QUESTION: Final = re.compile(r"^([^\n]*\?)\n\n```sql\n(.*?)```", re.DOTALL | re.MULTILINE)


def questions() -> dict[str, str]:
    """Each question's SQL."""
    return dict(_QUESTION.findall(_PAGE.read_text()))
