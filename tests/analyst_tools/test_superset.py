"""The dashboard is imported into a Superset, and its filters move what they say."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.analyst_tools.conftest import Login, Note
from tests.analyst_tools.superset import (
    SUPERSET,
    Filter,
    Superset,
    address_with,
    packed,
    running_superset,
)
from tests.analyst_tools.tools import PROGRAMS, fetched
from tests.clients.workshop import environment_of_programs, run_commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

_PLAYWRIGHT: Final = "playwright-core@1.65.1"
#: Where the screenshots are left, for a person to look at.
_PICTURES: Final = Path("var/analyst-tools/pictures")
#: The campaign of the scene that the filters choose.
_CAMPAIGN: Final = "O'Brien & <Söhne>"
_CHOSEN: Final[dict[str, Filter]] = {
    "Campaign": {"col": "campaign_name", "op": "IN", "val": [_CAMPAIGN]},
    "Label": {"col": "campaign_label", "op": "IN", "val": ["summer"]},
    "Country": {"col": "country", "op": "IN", "val": ["DE"]},
    "Sender": {"col": "sender", "op": "IN", "val": ["Shop"]},
    "Day": {"time_range": "2026-03-03 : 2026-03-06"},
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A Superset in which the dashboard is."""

    superset: Superset
    charts: list[dict[str, Any]]
    filters: dict[str, dict[str, Any]]
    #: What each chart shows without a filter, by its id.
    whole: dict[int, Any]


@pytest.fixture(scope="module")
def imported(login: Login, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    with running_superset(tmp_path_factory.mktemp("superset")) as superset:
        superset.bring(packed(tmp_path_factory.mktemp("export"), login), login)
        dashboard = superset.read("/dashboard/routee-receiver")
        metadata = json.loads(dashboard["json_metadata"])
        charts = [
            superset.read(f"/chart/{chart['id']}") | chart
            for chart in superset.read("/chart/?q=(page_size:100)")
        ]
        yield Imported(
            superset,
            charts,
            {it["name"]: it for it in metadata["native_filter_configuration"]},
            {chart["id"]: superset.ask(chart)["data"] for chart in charts},
        )


def test_superset_imports_the_dashboard_and_every_chart_shows_something(
    imported: Imported, note: Note
) -> None:
    assert len(imported.charts) == 17
    for chart in imported.charts:
        assert imported.whole[chart["id"]], chart["slice_name"]
    note("Superset", SUPERSET.version, "imported the export: 17 charts, each with an answer")


@pytest.mark.parametrize("name", _CHOSEN)
def test_a_filter_moves_every_chart_of_its_scope(imported: Imported, name: str, note: Note) -> None:
    excluded = imported.filters[name]["scope"]["excluded"]
    moved = [chart for chart in imported.charts if chart["id"] not in excluded]
    for chart in moved:
        part = imported.superset.ask(chart, _CHOSEN[name])["data"]
        assert part, chart["slice_name"]
        assert part != imported.whole[chart["id"]], chart["slice_name"]
    note("Superset", SUPERSET.version, f"filter {name}: moved {len(moved)} of 17 charts")


def test_in_a_browser_the_campaign_filter_moves_every_chart(
    imported: Imported, tmp_path: Path, note: Note
) -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("the browser needs the Debian package chromium")
    tools = fetched(
        "browser",
        [f"npm install --no-fund --no-audit {_PLAYWRIGHT}"],
        needs=("npm", "node"),
        file="node_modules/playwright-core/package.json",
    )
    shutil.copy(PROGRAMS / "dashboard.mjs", tools)
    _PICTURES.mkdir(parents=True, exist_ok=True)

    def _answers(address: str, picture: str) -> dict[str, Any]:
        said = run_commands(
            ["node dashboard.mjs"],
            folder=tools,
            environment=environment_of_programs()
            | {
                "SUPERSET_URL": imported.superset.url,
                "CHROMIUM": chromium,
                "PROFILE": str(tmp_path / picture),
                "ADDRESS": address,
                "CHARTS": str(len(imported.charts)),
                "PICTURE": str((_PICTURES / f"superset-{picture}.png").resolve()),
            },
        )
        answers: dict[str, Any] = json.loads(said)
        return {chart: [it["data"] for it in answers[chart]["result"]] for chart in answers}

    whole = _answers("/superset/dashboard/routee-receiver/", "all")
    chosen = address_with(imported.filters["Campaign"]["id"], "campaign_name", _CAMPAIGN)
    part = _answers(chosen, "campaign")
    assert set(whole) == set(part) == {str(chart["id"]) for chart in imported.charts}
    for chart in imported.charts:
        number = str(chart["id"])
        assert any(part[number]), chart["slice_name"]
        assert part[number] != whole[number], chart["slice_name"]
    note("Superset", SUPERSET.version, f"in a browser: drew all, pictures in {_PICTURES}")
