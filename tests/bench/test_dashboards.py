"""The dashboards of the bench ask as those in browsers do."""

import re
from pathlib import Path

import pytest

from tests.bench import dashboards
from tests.bench.beside_dashboards import DASHBOARDS, paths_of
from tests.bench.dashboards import pause_seconds

_SCRIPT = Path("app/web/static/live.js")


def _constant(name: str) -> int:
    found = re.search(rf"^const {name} = (\d+);$", _SCRIPT.read_text(), re.MULTILINE)
    assert found, name
    return int(found[1])


def test_the_pace_is_that_of_the_script() -> None:
    assert _constant("MIN_PAUSE_MS") == 1000 * dashboards.MIN_PAUSE_SECONDS
    assert _constant("MAX_PAUSE_MS") == 1000 * dashboards.MAX_PAUSE_SECONDS
    assert _constant("PAUSES_PER_COST") == dashboards.PAUSES_PER_COST


@pytest.mark.parametrize(
    ("cost_ms", "pause"), [(0.4, 1), (10, 3), (150, 45), (1000, 60), (None, 60)]
)
def test_a_page_that_costs_more_is_asked_for_less_often(
    cost_ms: float | None, pause: float
) -> None:
    assert pause_seconds(cost_ms) == pytest.approx(pause)


def test_there_are_so_many_of_them() -> None:
    assert len(paths_of("0123abcd-4567")) == DASHBOARDS
