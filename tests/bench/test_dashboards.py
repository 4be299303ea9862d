"""The dashboards of the bench, and the visitor who measures pages, ask as browsers do."""

import re
from pathlib import Path

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import (
    Service,
    fast_service,
    loop,
    routee,
    routee_urls,
    service,
    shared_url,
)
from tests.bench import dashboards
from tests.bench.beside_dashboards import DASHBOARDS, opened, paths_of
from tests.bench.dashboards import pause_seconds
from tests.bench.visitor import visiting
from tests.promises.stage import eventually

__all__ = ["fast_service", "loop", "routee", "routee_urls", "service", "shared_url"]

_SCRIPT = Path(__file__).parents[2] / "app/web/static/live.js"
_MAX_FIRST_VISIT_BYTES = 60_000


def _constant(name: str) -> int:
    found = re.search(rf"^const {name} = (\d+);$", _SCRIPT.read_text(), re.MULTILINE)
    assert found, name
    return int(found[1])


def test_the_pace_is_that_of_the_script() -> None:
    assert _constant("MIN_PAUSE_MS") == 1000 * dashboards.MIN_PAUSE_SECONDS
    assert _constant("MAX_PAUSE_MS") == 1000 * dashboards.MAX_PAUSE_SECONDS
    assert _constant("PAUSES_PER_COST") == dashboards.PAUSES_PER_COST


@pytest.mark.parametrize(
    ("cost_ms", "pause"), [(0.4, 1), (10, 5), (100, 50), (1000, 60), (None, 60)]
)
def test_a_page_that_costs_more_is_asked_for_less_often(
    cost_ms: float | None, pause: float
) -> None:
    assert pause_seconds(cost_ms) == pytest.approx(pause)


def test_there_are_so_many_of_them() -> None:
    assert len(paths_of("0123abcd-4567")) == DASHBOARDS


async def test_only_live_pages_are_asked_for_again(service: Service) -> None:
    _, key = service.add_key(Scope.READ)
    async with visiting(service.url) as visitor:
        await visitor.sign_in(key)
        port = int(service.url.rpartition(":")[2])
        async with opened(port, visitor.cookies, ["/ui/", "/ui/statuses"]) as them:

            async def _have_asked() -> bool:
                return bool((await them.received())["regions"])

            await eventually(_have_asked)
            received = await them.received()
    assert received["live"] == 1
    assert received["regions"].keys() <= {"200", "304"}
    assert received["failures"] == []
    assert received["cost_ms"] > 0


async def test_a_first_visit_loads_each_file_once_and_little(service: Service) -> None:
    _, key = service.add_key(Scope.READ)
    async with visiting(service.url) as visitor:
        await visitor.sign_in(key)
        sizes = await visitor.first_visit("/ui/")
    names = [address.rpartition("/")[2].partition(".")[0] for address in sizes]
    assert {"style", "icon", "live", "morphdom-2"} <= set(names)
    assert len(names) == len(set(names))
    assert sum(sizes.values()) <= _MAX_FIRST_VISIT_BYTES


async def test_an_unknown_key_is_no_sign_in(service: Service) -> None:
    async with visiting(service.url) as visitor:
        with pytest.raises(PermissionError):
            await visitor.sign_in("unknown")
