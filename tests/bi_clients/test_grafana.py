"""The dashboards, as Grafana asks for what they show."""

import json
from collections.abc import Iterator
from pathlib import Path
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


def _variables() -> Iterator[dict[str, Any]]:
    for path in DASHBOARDS:
        yield from json.loads(path.read_text())["templating"]["list"]


async def _shown(url: str, query: str, **variables: str) -> list[asyncpg.Record]:
    asked = expanded(query, since=days(-1), until=days(3650), **variables)
    assert "$" not in asked, "a macro or variable that Grafana's data source does not know"
    async with connected(url) as session:
        return list(await session.fetch(asked))


async def _campaign(url: str) -> str:
    [variable] = _variables()
    [row] = await _shown(url, variable["query"])
    assert row["__text"] == "Πάσχα"
    return str(row["__value"])


@pytest.mark.parametrize("panel", list(_panels()), ids=lambda it: f"{it.dashboard}: {it.title}")
async def test_every_panel_shows_something_to_an_analyst(analyst_url: str, panel: Panel) -> None:
    rows = await _shown(analyst_url, panel.query, campaign=await _campaign(analyst_url))
    if panel.title not in ("Time to deliver, by campaign", "Recipients who opted out"):
        assert rows
    if panel.kind == "timeseries" and rows:
        assert next(iter(rows[0].keys())) == "time"


async def test_the_hours_are_those_in_which_events_occurred(analyst_url: str) -> None:
    [panel] = [
        it for it in _panels() if (it.dashboard, it.title) == ("overview", "Deliveries per hour")
    ]
    rows = await _shown(analyst_url, panel.query)
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
    assert len({it["uid"] for it in dashboards}) == len(dashboards) == 2
    for dashboard in dashboards:
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
