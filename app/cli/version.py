"""The version of this program."""

import json
import os
from importlib.metadata import distribution
from typing import Final

_PACKAGE: Final = "routee-receiver"
#: Set when an image is built.
_COMMIT_VARIABLE: Final = "SOURCE_COMMIT"
_SHOWN_CHARACTERS: Final = 12


def version_line() -> str:
    """The version of this program, and the commit that it was built from where that is known."""
    built = f" (commit {commit[:_SHOWN_CHARACTERS]})" if (commit := _commit()) else ""
    return f"{_PACKAGE} {distribution(_PACKAGE).version}{built}"


def _commit() -> str:
    if given := os.environ.get(_COMMIT_VARIABLE):
        return given
    # What pip writes when it installs from a repository.
    origin = json.loads(distribution(_PACKAGE).read_text("direct_url.json") or "{}")
    return str(origin.get("vcs_info", {}).get("commit_id", ""))
