"""The dashboard without a mouse."""

import pytest
from playwright.async_api import expect

from app.domain.api_key import Scope
from tests.web.browser.conftest import OpenTab
from tests.web.browser.scene import NUMBER, Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What has the focus: its name, and whether it can be seen that it has it.
_FOCUSED = """() => {
    const element = document.activeElement, style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return {
        name: element.getAttribute("aria-label") || element.innerText || element.id,
        isOutlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        isInSight: box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight,
    };
}"""


async def test_a_slash_leads_to_the_search_from_anywhere(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/campaigns")
    await tab.page.keyboard.press("/")
    await expect(tab.page.get_by_role("searchbox")).to_be_focused()
    await tab.page.keyboard.type(NUMBER)
    async with tab.page.expect_navigation():
        await tab.page.keyboard.press("Enter")
    assert tab.path == f"/ui/messages/{scene.undelivered}"


async def test_letters_lead_to_pages_unless_they_are_typed_into_a_field(open_: OpenTab) -> None:
    tab = await open_(Scope.ADMIN)
    await tab.go("/ui/shortcuts")
    for key, path in {"c": "campaigns", "m": "messages", "q": "quarantine", "o": ""}.items():
        async with tab.page.expect_navigation():
            await tab.page.keyboard.press(key)
        assert tab.path == f"/ui/{path}"
    await tab.page.keyboard.press("/")
    await tab.page.keyboard.type("comrqs/")
    await expect(tab.page.get_by_role("searchbox")).to_have_value("comrqs/")
    assert tab.path == "/ui/"


async def test_the_first_stop_skips_to_the_content(open_: OpenTab) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/campaigns")
    await tab.page.keyboard.press("Tab")
    skip = tab.page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator("main")).to_be_focused()


@pytest.mark.parametrize("path", ["/ui/", "/ui/campaigns", "/ui/messages", "/ui/quarantine"])
async def test_every_stop_of_the_tab_key_can_be_seen(open_: OpenTab, path: str) -> None:
    tab = await open_(Scope.ADMIN)
    await tab.go(path)
    stops = []
    for _ in range(25):
        await tab.page.keyboard.press("Tab")
        stops.append(await tab.page.evaluate(_FOCUSED))
        if stops[-1]["name"] == "Show times in UTC":
            break
    names = [stop["name"] for stop in stops]
    assert names[:3] == ["Skip to the content", "Routee Receiver", "search"]
    assert [stop for stop in stops if not (stop["isOutlined"] and stop["isInSight"])] == []


async def test_a_whole_visit_needs_no_mouse(open_: OpenTab, scene: Scene) -> None:
    _, key = scene.service.add_key(Scope.READ)
    tab = await open_()
    await tab.go("/ui/sign-in")
    await tab.page.keyboard.type(key)  # the field has the focus
    async with tab.page.expect_navigation():
        await tab.page.keyboard.press("Enter")
    assert tab.path == "/ui/"
    async with tab.page.expect_navigation():
        await tab.page.keyboard.press("c")
    link = tab.page.get_by_role("link", name="spring 2026")
    for _ in range(60):
        await tab.page.keyboard.press("Tab")
        if await link.evaluate("(element) => element === document.activeElement"):
            break
    async with tab.page.expect_navigation():
        await tab.page.keyboard.press("Enter")
    assert tab.path == f"/ui/campaigns/{scene.spring}"
