"""SECURITY.md reviews every package that runs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_runtime_dependency_is_reviewed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(one for extra in extras for one in extra)]
    names = {re.split(r"[^A-Za-z0-9-]", one)[0] for one in wanted}
    review = (ROOT / "SECURITY.md").read_text().partition("## Dependencies")[2]
    reviewed = set(re.findall(r"[a-z][a-z0-9-]+", review))
    assert names - reviewed == set()
