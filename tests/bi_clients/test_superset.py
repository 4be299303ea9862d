"""The Superset dashboard fits the views; tests/analyst_tools imports it into a Superset."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.db.bi.stage import connected

EXPORT: Final = Path(__file__).parents[2] / "deploy" / "superset" / "dashboard"
#: Types of PostgreSQL by the words that Superset has for them.
_TYPES: Final = {"TEXT": "text", "DATE": "date", "BIGINT": "bigint", "NUMERIC": "numeric"}


def _read(folder: str) -> dict[str, Any]:
    """The files below *folder*, by the UUIDs of what they describe."""
    read = [yaml.safe_load(path.read_text()) for path in sorted((EXPORT / folder).rglob("*.yaml"))]
    return {one["uuid"]: one for one in read}


DATASETS: Final = _read("datasets")
CHARTS: Final = _read("charts")
[DASHBOARD] = _read("dashboards").values()
FILTERS: Final = {it["name"]: it for it in DASHBOARD["metadata"]["native_filter_configuration"]}


def _columns(dataset: dict[str, Any]) -> set[str]:
    return {column["column_name"] for column in dataset["columns"]}


def _named(chart: dict[str, Any]) -> Iterator[str]:
    """The columns and metrics that *chart* asks for."""
    params = chart["params"]
    for key in ("metrics", "groupby", "all_columns"):
        yield from params.get(key) or []
    for key in ("metric", "x_axis", "timeseries_limit_metric", "x_axis_sort"):
        if params.get(key):
            yield params[key]


def _uuids_by_number() -> dict[int, str]:
    return {
        it["meta"]["chartId"]: it["meta"]["uuid"]
        for it in DASHBOARD["position"].values()
        if isinstance(it, dict) and it["type"] == "CHART"
    }


def _source(dataset: dict[str, Any]) -> str:
    return f"({dataset['sql']}) AS it" if dataset["sql"] else f"bi_v1.{dataset['table_name']}"


async def test_datasets_have_the_columns_of_their_views(analyst_url: str) -> None:
    async with connected(analyst_url) as session:
        for dataset in DATASETS.values():
            asked = await session.prepare(f"SELECT * FROM {_source(dataset)}")  # noqa: S608
            found = {
                it.name: await session.fetchval("SELECT format_type($1, NULL)", it.type.oid)
                for it in asked.get_attributes()
            }
            assert found == {
                it["column_name"]: _TYPES.get(it["type"], it["type"].lower())
                for it in dataset["columns"]
                if not it["expression"]
            }


async def test_what_datasets_compute_can_be_computed(analyst_url: str) -> None:
    async with connected(analyst_url) as session:
        for dataset in DATASETS.values():
            metrics = ", ".join(it["expression"] for it in dataset["metrics"])
            rows = await session.fetch(f"SELECT {metrics} FROM {_source(dataset)}")  # noqa: S608
            assert len(rows) == 1
            for column in dataset["columns"]:
                if column["expression"]:
                    await session.fetch(
                        f"SELECT {column['expression']} FROM {_source(dataset)}"  # noqa: S608
                    )


@pytest.mark.parametrize("chart", CHARTS.values(), ids=lambda it: it["slice_name"])
def test_a_chart_asks_for_what_its_dataset_has(chart: dict[str, Any]) -> None:
    dataset = DATASETS[chart["dataset_uuid"]]
    had = _columns(dataset) | {metric["metric_name"] for metric in dataset["metrics"]}
    assert set(_named(chart)) <= had
    assert set(_named(chart))
    assert chart["params"]["viz_type"] == chart["viz_type"]
    [days] = chart["params"]["adhoc_filters"]
    assert days["subject"] == dataset["main_dttm_col"]


def test_the_dashboard_shows_every_chart_by_its_name() -> None:
    shown = {
        it["meta"]["uuid"]: it["meta"]["sliceName"]
        for it in DASHBOARD["position"].values()
        if isinstance(it, dict) and it["type"] == "CHART"
    }
    assert shown == {uuid: chart["slice_name"] for uuid, chart in CHARTS.items()}


@pytest.mark.parametrize("name", ["Campaign", "Label", "Country", "Sender"])
def test_a_filter_moves_every_chart_that_has_its_column(name: str) -> None:
    [target] = FILTERS[name]["targets"]
    column = target["column"]["name"]
    assert column in _columns(DATASETS[target["datasetUuid"]])
    excluded = {_uuids_by_number()[it] for it in FILTERS[name]["scope"]["excluded"]}
    without = {
        uuid
        for uuid, chart in CHARTS.items()
        if column not in _columns(DATASETS[chart["dataset_uuid"]])
    }
    assert excluded == without


@pytest.mark.parametrize("name", ["Campaign", "Label", "Day"])
def test_campaign_label_and_day_move_every_chart(name: str) -> None:
    assert FILTERS[name]["scope"] == {"rootPath": ["ROOT_ID"], "excluded": []}
