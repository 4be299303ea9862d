"""How people find a message: by its number, in lists, and by an address from a colleague."""

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import progress, status
from tests.web.browser.conftest import OpenTab
from tests.web.browser.scene import NASTY, NUMBER, Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
async def test_a_number_leads_to_its_message_and_stands_in_no_address(
    open_: OpenTab, scene: Scene, *, has_script: bool
) -> None:
    tab = await open_(Scope.READ, Scope.PII, has_script=has_script)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    await tab.go("/ui/")
    await tab.page.get_by_role("searchbox").fill("00 30 694-9999 001")
    await tab.press("Search", within="header")
    assert tab.path == f"/ui/messages/{scene.undelivered}"
    words = await tab.words()
    assert "Undelivered: the number has no Viber." in words
    assert "What to do: Check the number with the recipient." in words
    assert NUMBER in words
    assert [url for url in asked if "9999" in url.split(scene.undelivered)[0]] == []


async def test_numbers_are_masked_without_the_scope(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/messages/{scene.undelivered}")
    assert NUMBER[:-3] not in await tab.page.content()
    assert f"***{NUMBER[-3:]}" in await tab.words()


async def test_a_number_of_several_messages_leads_to_their_list(
    open_: OpenTab, scene: Scene
) -> None:
    number = "+306949999002"
    documents = [progress(to=number, status=status("SEEN", None)) for _ in range(2)]
    for document in documents:
        scene.service.stored(document)
    tab = await open_(Scope.READ)
    await tab.go("/ui/")
    await tab.page.get_by_role("searchbox").fill(number)
    await tab.press("Search", within="header")
    assert tab.path.startswith("/ui/messages?number_of=")
    rows = await tab.rows()
    assert {row.split()[0] for row in rows} == {one["trackingId"] for one in documents}


@pytest.mark.parametrize("asked", ["spring 2026", "id", "nothing of that name", "<i>\u202e"])
async def test_a_search_for_a_name_or_an_id_leads_there_or_says_so(
    open_: OpenTab, scene: Scene, asked: str
) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/statuses")
    given = scene.undelivered if asked == "id" else asked
    await tab.page.get_by_role("searchbox").fill(given)
    await tab.press("Search", within="header")
    expected = {
        "spring 2026": f"/ui/campaigns/{scene.spring}",
        "id": f"/ui/messages/{scene.undelivered}",
    }
    assert tab.path == expected.get(asked, tab.path)
    if asked not in expected:
        assert tab.path.startswith("/ui/search?q=")


async def test_a_filtered_list_is_an_address_that_a_colleague_can_open(open_: OpenTab) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/messages")
    await tab.page.get_by_label("Undelivered").check()
    await tab.page.get_by_label("Label", exact=True).fill("spring")
    await tab.press("Show")
    rows = await tab.rows()
    assert rows
    assert all("Undelivered" in row for row in rows)
    colleague = await open_(Scope.READ)
    await colleague.go(tab.path)
    assert await colleague.rows() == rows
    assert await colleague.page.get_by_label("Undelivered").is_checked()
    await tab.page.locator("table.list a").first.click()
    await tab.page.wait_for_url("**/ui/messages/*")
    assert (await tab.words("p.lead")).startswith("Undelivered: ")
    await tab.page.go_back()
    assert await tab.rows() == rows


async def test_a_long_list_goes_on_and_the_way_back_is_the_browser_s(
    open_: OpenTab, scene: Scene
) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/messages?campaign={scene.spring}")
    first = await tab.rows()
    await tab.follow("Go on")
    second = await tab.rows()
    assert not set(first) & set(second)
    await tab.page.go_back()
    assert await tab.rows() == first
    await tab.page.go_forward()
    assert await tab.rows() == second


async def test_whatever_recipients_write_is_text(open_: OpenTab) -> None:
    tab = await open_(Scope.READ)
    await tab.go("/ui/replies")
    texts = await tab.page.locator("table.list .said").all_text_contents()
    assert set(NASTY) <= set(texts)
    assert await tab.page.locator("main script, main img").count() == 0


async def test_a_list_can_be_downloaded_as_it_is_filtered(open_: OpenTab, scene: Scene) -> None:
    tab = await open_(Scope.READ)
    await tab.go(f"/ui/messages?campaign={scene.spring}&status=UNDELIVERED")
    rows = await tab.rows()
    async with tab.page.expect_download() as downloading:
        await tab.page.get_by_role("link", name="Download as CSV").click()
    path = await (await downloading.value).path()
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == len(rows) + 1
    assert all(line.count("UNDELIVERED") for line in lines[1:])
