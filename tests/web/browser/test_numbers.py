"""The tables behind the charts say what the API says."""

from collections import Counter

import pytest

from app.domain.api_key import Scope
from tests.web.browser.conftest import OpenTab
from tests.web.browser.scene import Scene
from tests.web.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAILURES = ("UNDELIVERED", "EXPIRED", "FAILED", "UNSENT")


async def _table(tab: Tab, caption: str) -> dict[str, list[int]]:
    """The numbers of the table behind a chart, by the heading of the line."""
    figure = tab.page.locator("figure", has=tab.page.locator("figcaption", has_text=caption)).first
    await figure.locator("summary").click()
    found = {}
    for line in await figure.locator("tbody tr").all():
        heading = await line.locator("th").inner_text()
        cells = await line.locator("td").all_inner_texts()
        numbers = [cell.replace(",", "") for cell in cells]
        found[heading] = [int(number) for number in numbers if number.isdecimal()]
    return found


def _counts(scene: Scene) -> dict[str, int]:
    counts: dict[str, int] = scene.service.read(f"/v1/campaigns/{scene.spring}")["counts"]
    return {status.upper(): int(number) for status, number in counts.items()}


async def test_the_funnel_has_the_counts_of_the_api(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/campaigns/{scene.spring}")
    counts = _counts(scene)
    replies = scene.service.replies(campaignTrackingId=_tracking_id(scene), limit=1000)
    assert await _table(tab, "From sent to replied") == {
        "Sent": [sum(counts.values())],
        "Delivered": [counts["DELIVERED"] + counts["SEEN"]],
        "Seen": [counts["SEEN"]],
        "Replied": [len(replies)],
    }


async def test_the_reasons_have_the_failures_of_the_api(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/campaigns/{scene.spring}")
    by_status: Counter[str] = Counter()
    for label, (number,) in (await _table(tab, "Failures by reason")).items():
        by_status[label.partition(":")[0].upper()] += number
    counts = _counts(scene)
    assert by_status == {status: counts[status] for status in FAILURES if counts[status]}


async def test_the_columns_over_time_have_all_events(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/campaigns/{scene.spring}")
    rows = (await _table(tab, "by hour")).values()
    of_series = [sum(numbers) for numbers in zip(*rows, strict=True)]
    events = Counter(
        row["status_key"]
        for row in scene.service.sql(
            "SELECT e.status_key FROM events e JOIN messages m USING (message_tracking_id) "
            "WHERE m.campaign_tracking_id = $1",
            _tracking_id(scene),
        )
    )
    failed = sum(events[status] for status in FAILURES)
    assert of_series == [events["SENT"], events["DELIVERED"], events["SEEN"], failed]


async def test_the_bar_of_a_list_has_the_counts_of_the_api(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/campaigns?label=spring")
    picture = tab.page.get_by_role("img", name="120 messages")
    counts = _counts(scene)
    said = await picture.locator("title").text_content() or ""
    assert f" {counts['SEEN']} seen," in said
    assert f" {sum(counts[status] for status in FAILURES)} failed." in said


def _tracking_id(scene: Scene) -> str:
    tracking_id: str = scene.service.read(f"/v1/campaigns/{scene.spring}")["trackingId"]
    return tracking_id
