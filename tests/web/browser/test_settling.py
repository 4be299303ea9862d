"""What people settle with a form, after a page that asks them."""

import json

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import new_id, progress
from tests.web.browser.conftest import OpenTab
from tests.web.browser.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_scheduled_campaign_is_cancelled_after_a_question(
    open_: OpenTab, scene: Scene
) -> None:
    tab = await open_(Scope.READ, Scope.CAMPAIGNS)
    await tab.go(f"/ui/campaigns/{scene.to_cancel}")
    await tab.follow("Cancel it")
    assert await tab.heading() == "Cancel this campaign?"
    await tab.press("Cancel the campaign")
    assert tab.path == f"/ui/campaigns/{scene.to_cancel}"
    assert (await tab.words("p.lead")).startswith("Cancelled.")
    assert scene.service.read(f"/v1/campaigns/{scene.to_cancel}")["submission"] == "cancelled"
    tracking_id = scene.service.read(f"/v1/campaigns/{scene.to_cancel}")["trackingId"]
    assert tracking_id not in scene.routee.campaigns


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
async def test_an_unconfirmed_launch_is_settled_by_an_administrator(
    open_: OpenTab, scene: Scene, *, has_script: bool
) -> None:
    campaign_id, _ = scene.service.add_campaign(submission="unconfirmed")
    reader = await open_(Scope.READ, has_script=has_script)
    await reader.go(f"/ui/campaigns/{campaign_id}")
    assert await reader.page.get_by_role("link", name="It was not").count() == 0
    tab = await open_(Scope.ADMIN, has_script=has_script)
    await tab.go(f"/ui/campaigns/{campaign_id}")
    assert "Do not launch it again" in await tab.words()
    await tab.follow("It was not")
    await tab.press("It was not launched")
    assert (await tab.words("p.lead")).startswith("Rejected.")
    assert scene.service.read(f"/v1/campaigns/{campaign_id}")["submission"] == "rejected"


async def test_a_form_that_is_sent_twice_says_that_it_is_settled(
    open_: OpenTab, scene: Scene
) -> None:
    campaign_id, _ = scene.service.add_campaign(submission="unconfirmed")
    tabs = [await open_(Scope.ADMIN) for _ in range(2)]
    for tab in tabs:
        await tab.go(f"/ui/campaigns/{campaign_id}/resolve?as=rejected")
    for tab in tabs:
        await tab.press("It was not launched")
    assert "rejected" in await tabs[-1].words()


def _readable_by_now(scene: Scene) -> int:
    """A body that came to the URL of another campaign, and now to one of all campaigns."""
    service, tracking_id = scene.service, new_id("c")
    _, token = service.add_campaign(new_id("another"))
    service.stored(progress(campaignTrackingId=tracking_id))
    octets = json.dumps(progress(campaignTrackingId=tracking_id)).encode()
    service.quarantined(octets, token=token)
    service.sql("UPDATE quarantine SET campaign_id = NULL WHERE body = $1", octets)
    (row,) = service.sql("SELECT id FROM quarantine WHERE body = $1", octets)
    return int(row["id"])


async def test_a_quarantined_body_is_replayed_after_a_question(
    open_: OpenTab, scene: Scene
) -> None:
    body_id = _readable_by_now(scene)
    tab = await open_(Scope.ADMIN)
    await tab.go("/ui/quarantine")
    await tab.page.locator(f'table.list a[href$="/{body_id}"]').click()
    assert (await tab.words("p.lead")).startswith("Another campaign's URL:")
    await tab.follow("Replay")
    assert "This version can read all of it." in await tab.words()
    await tab.press("Replay it")
    assert tab.path == f"/ui/quarantine/{body_id}"
    assert "Stored. All of it is stored" in await tab.words()


async def test_all_quarantined_bodies_that_match_are_replayed(open_: OpenTab, scene: Scene) -> None:
    _readable_by_now(scene)
    tab = await open_(Scope.ADMIN)
    await tab.go("/ui/quarantine")
    await tab.page.get_by_label("Reason").select_option("campaign-mismatch")
    await tab.press("Show")
    await tab.follow("Replay all that match")
    await tab.press("Replay them")
    assert "Stored" in await tab.words("dl.figures")
    await tab.follow("Back to the list")
    assert "reason=campaign-mismatch" in tab.path
