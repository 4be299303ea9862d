"""What happens on a page that stays open."""

import time

import pytest
from playwright.async_api import expect

from app.domain.api_key import Scope
from tests.api.conftest import new_id, progress, status
from tests.web.browser.conftest import OpenTab
from tests.web.browser.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: No test depends on how fast the machine is: a page of a busy one pauses for up to a minute.
PATIENCE_MS = 180_000


async def test_the_numbers_of_a_running_campaign_move_by_themselves(
    open_: OpenTab, scene: Scene
) -> None:
    tracking_id = new_id("c")
    campaign_id, _ = scene.service.add_campaign(tracking_id)
    scene.service.stored(progress(campaignTrackingId=tracking_id, status=status("SEEN")))
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/campaigns/{campaign_id}")
    messages = tab.page.locator("dl.figures .figure", has_text="Messages").locator("b")
    await expect(messages).to_have_text("1", timeout=PATIENCE_MS)
    await tab.page.evaluate("document.body.dataset.same = 'yes'")
    for _ in range(2):
        scene.service.stored(progress(campaignTrackingId=tracking_id, status=status("SEEN")))
    await expect(messages).to_have_text("3", timeout=PATIENCE_MS)
    # It was not loaded again.
    assert await tab.page.evaluate("document.body.dataset.same") == "yes"


async def test_what_a_person_has_opened_stays_open_while_numbers_move(
    open_: OpenTab, scene: Scene
) -> None:
    tracking_id = new_id("c")
    campaign_id, _ = scene.service.add_campaign(tracking_id)
    scene.service.stored(progress(campaignTrackingId=tracking_id, status=status("SEEN")))
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/campaigns/{campaign_id}")
    details = tab.page.locator("details").first
    await details.locator("summary").click()
    scene.service.stored(progress(campaignTrackingId=tracking_id, status=status("SEEN")))
    messages = tab.page.locator("dl.figures .figure", has_text="Messages").locator("b")
    await expect(messages).to_have_text("2", timeout=PATIENCE_MS)
    assert await details.get_attribute("open") is not None


async def test_a_banner_says_when_the_service_is_away(open_: OpenTab) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/")
    banner = tab.page.locator("#away")
    await expect(banner).to_be_hidden()
    await tab.page.context.set_offline(True)
    await expect(banner).to_be_visible(timeout=PATIENCE_MS)
    await tab.page.context.set_offline(False)
    await expect(banner).to_be_hidden(timeout=PATIENCE_MS)
    assert all("ERR_INTERNET_DISCONNECTED" in violation for violation in tab.violations)
    tab.violations.clear()


async def test_a_revoked_key_ends_the_session_within_seconds(open_: OpenTab, scene: Scene) -> None:
    key_id, key = scene.service.add_key(Scope.READ)
    tab = await open_(key=key)
    await tab.go("/ui/")
    scene.service.sql("UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
    revoked_at = time.monotonic()
    # The open page goes by itself.
    await tab.page.wait_for_url("**/ui/sign-in*", timeout=PATIENCE_MS)
    assert time.monotonic() - revoked_at < PATIENCE_MS / 1000
    await tab.go("/ui/shortcuts")
    assert await tab.heading() == "Sign in"


async def test_times_are_those_of_the_reader_and_in_utc_on_demand(
    open_: OpenTab, scene: Scene
) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/messages/{scene.undelivered}")
    lead = tab.page.locator("p.lead")
    await expect(lead).to_contain_text("5 July 2026 at 13:28:44")
    await tab.page.get_by_role("button", name="Show times in UTC").click()
    await expect(lead).to_contain_text("10:28:44")
    plain = await open_(Scope.READ, has_script=False)
    await plain.go(f"/ui/messages/{scene.undelivered}")
    assert "5 July 2026, 10:28:44.000 UTC" in await plain.words("p.lead")
