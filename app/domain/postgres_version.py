"""Which versions of PostgreSQL a login that is not ours may be let into."""

import re
from typing import Final

#: The oldest minor version without known holes that any SQL login can use. Raise it with each
#: security release of PostgreSQL.
OLDEST_SAFE: Final = (18, 5)
_VERSION: Final = re.compile(r"(\d+)(?:\.(\d+))?")


def version_of(text: str) -> tuple[int, int]:
    """The major and the minor version in *text*, as `18.5`; a version before release is minor 0."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def is_safe(text: str) -> bool:
    """Whether the version in *text* is at least the oldest safe one."""
    return version_of(text) >= OLDEST_SAFE


def advice_for(text: str) -> str:
    """What is wrong with the version in *text*, if it is not safe."""
    oldest = ".".join(map(str, OLDEST_SAFE))
    return f"PostgreSQL {text} has holes that any SQL login can use; {oldest} closes them."
