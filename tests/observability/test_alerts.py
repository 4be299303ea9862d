"""The alerts and the dashboard for Prometheus, with its own programs."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.observability.metrics import Metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "operations" / "operations.json"
_NAME = re.compile(r"\breceiver_[a-z_]+")
_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def queries() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}, which Debian's package prometheus has")
    return found


def test_each_alert_fires_and_stays_silent_as_it_should() -> None:
    promtool = program("promtool")
    for action in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")):
        ended = subprocess.run(  # noqa: S603 (our own arguments)
            [promtool, *action], cwd=PROMETHEUS, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_is_tested_firing_and_silent() -> None:
    document = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())
    tested = {
        (case["alertname"], bool(case.get("exp_alerts")))
        for test in document["tests"]
        for case in test["alert_rule_test"]
    }
    assert tested == {(rule["alert"], fires) for rule in rules() for fires in (True, False)}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_leads_to_a_section_of_the_docs(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    titles = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert anchor in anchors


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    exposed = set(_NAME.findall(Metrics().exposition().decode()))
    asked = {
        name for text in (*queries(), *(rule["expr"] for rule in rules()))
        for name in _NAME.findall(text)
    }  # fmt: skip
    known = exposed | {_SUFFIX.sub("", name) for name in exposed}
    assert {_SUFFIX.sub("", name) for name in asked} <= known
