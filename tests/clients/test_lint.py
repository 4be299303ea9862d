"""Linters of OpenAPI documents find nothing that is not excused in writing."""

import json
import shutil
from pathlib import Path

import pytest

from tests.clients.workshop import Failed, Workshop, missing
from tests.openapi.documents import FOLDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def _shop(folder: Path, package: str) -> Workshop:
    if missing(["npm"]):
        pytest.skip("npm is not installed")
    shop = Workshop(folder, "linters")
    for file in ("redocly.yaml", ".redocly.lint-ignore.yaml", "spectral.yaml"):
        shutil.copy(FOLDER / file, folder)
    try:
        shop.run([f"npm install {package}"])
    except Failed as failure:
        pytest.skip(f"{package} cannot be fetched: {failure}")
    return shop


def test_redocly_finds_neither_an_error_nor_a_warning(tmp_path: Path) -> None:
    shop = _shop(tmp_path, "@redocly/cli@2.77.0")
    said = shop.run(["npx redocly lint openapi.json --config redocly.yaml --format json"])
    found = json.loads(said[said.index("{") :])
    assert (found["totals"]["errors"], found["totals"]["warnings"]) == (0, 0), said


def test_every_excuse_for_redocly_is_needed(tmp_path: Path) -> None:
    shop = _shop(tmp_path, "@redocly/cli@2.77.0")
    excused = (tmp_path / ".redocly.lint-ignore.yaml").read_text().count("- '#/")
    (tmp_path / ".redocly.lint-ignore.yaml").unlink()
    said = shop.run(["npx redocly lint openapi.json --config redocly.yaml --format json"])
    assert json.loads(said[said.index("{") :])["totals"]["warnings"] == excused > 0


def test_spectral_finds_nothing(tmp_path: Path) -> None:
    shop = _shop(tmp_path, "@stoplight/spectral-cli@6.16.3")
    command = "npx spectral lint --ruleset spectral.yaml --fail-severity hint --format json"
    assert json.loads(shop.run([f"{command} --quiet openapi.json"])) == []
