"""The dashboards, as Grafana asks for what they show."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import asyncpg
import pytest
import yaml

from tests.bi_clients.grafana import expanded
from tests.db.bi.stage import connected
from tests.db.feed.feed_stage import START, days

GRAFANA: Final = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARDS: Final = sorted((GRAFANA / "dashboards").glob("*.json"))


class Panel(NamedTuple):
    """One query of a dashboard."""

    dashboard: str
    title: str
    kind: str
    query: str


def _panels() -> Iterator[Panel]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield Panel(path.stem, panel["title"], panel["type"], target["rawSql"])


def _variables(dashboard: str) -> list[dict[str, Any]]:
    [path] = [path for path in DASHBOARDS if path.stem == dashboard]
    listed: list[dict[str, Any]] = json.loads(path.read_text())["templating"]["list"]
    return listed


async def _shown(
    url: str, query: str, variables: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[asyncpg.Record]:
    asked = expanded(query, since=days(-1), until=days(3650), variables=variables)
    assert "$" not in asked, "a macro or variable that Grafana's data source does not know"
    async with connected(url) as session:
        return list(await session.fetch(asked))


async def _options(url: str, dashboard: str) -> dict[str, list[str]]:
    """The values of each variable of *dashboard*, of which Grafana sends all for "All"."""
    return {
        variable["name"]: [row[-1] for row in await _shown(url, variable["query"])]
        for variable in _variables(dashboard)
    }


@pytest.mark.parametrize("panel", list(_panels()), ids=lambda it: f"{it.dashboard}: {it.title}")
async def test_every_panel_shows_something_to_an_analyst(analyst_url: str, panel: Panel) -> None:
    rows = await _shown(analyst_url, panel.query, await _options(analyst_url, panel.dashboard))
    if panel.title not in ("Time to deliver, by campaign", "Recipients who opted out"):
        assert rows
    if panel.kind == "timeseries" and rows:
        assert next(iter(rows[0].keys())) == "time"


async def test_a_campaign_is_chosen_by_its_name(analyst_url: str) -> None:
    for path in DASHBOARDS:
        [variable] = [it for it in _variables(path.stem) if it["name"] == "campaign"]
        assert [row["__text"] for row in await _shown(analyst_url, variable["query"])] == ["Πάσχα"]


@pytest.mark.parametrize("name", ["country", "sender", "label", "campaign"])
@pytest.mark.parametrize("dashboard", ["overview", "management"])
async def test_a_variable_narrows_what_is_shown(
    analyst_url: str, dashboard: str, name: str
) -> None:
    options = await _options(analyst_url, dashboard)
    assert options[name]
    narrowed = [it for it in _panels() if it.dashboard == dashboard and f"${{{name}:" in it.query]
    assert narrowed
    for panel in narrowed:
        if panel.title == "Replies and opt-outs":  # each by variables of its own
            continue
        rows = await _shown(analyst_url, panel.query, options | {name: ["of nobody"]})
        counted = [value for row in rows for key, value in row.items() if key != "time"]
        assert not any(isinstance(value, int | float | Decimal) and value for value in counted)


async def test_the_hours_are_those_in_which_events_occurred(analyst_url: str) -> None:
    [panel] = [
        it for it in _panels() if (it.dashboard, it.title) == ("overview", "Deliveries per hour")
    ]
    rows = await _shown(analyst_url, panel.query, await _options(analyst_url, "overview"))
    assert [(row["time"], row["delivered"], row["seen"]) for row in rows] == [
        (START.timestamp(), 1, 0),
        (days(1).timestamp(), 0, 1),
    ]


def test_dashboards_ask_the_data_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "routee-receiver.yaml").read_text()
    )
    [source] = provisioned["datasources"]
    asked = {
        (target["datasource"]["type"], target["datasource"]["uid"])
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in [panel, *panel["targets"]]
    }
    assert asked == {(source["type"], source["uid"])}


def test_dashboards_and_their_panels_have_ids_of_their_own() -> None:
    dashboards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({it["uid"] for it in dashboards}) == len(dashboards) == 3
    for dashboard in dashboards:
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
