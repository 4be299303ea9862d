"""Every page in a real browser: with and without script, narrow and wide, light and dark."""

from pathlib import Path

import pytest

from app.domain.api_key import Scope
from tests.web.browser.conftest import PHONE, SCREEN, OpenTab
from tests.web.browser.nginx import below_a_path
from tests.web.browser.pages import PAGES
from tests.web.browser.scene import Scene
from tests.web.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The others are left to the slow tests.
_QUICK = {"overview", "campaigns", "campaign", "message-undelivered", "messages", "quarantine"}
_NAMES = [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PAGES]
#: Compressed, and with the heads of the answers.
FIRST_VISIT_BYTES = 60_000
_ADDRESSES = """
[...document.querySelectorAll("[href], [src], [action]")].map(
    (element) => element.href || element.src || element.action
)
"""


async def _assert_fits(tab: Tab, *, width: int) -> None:
    await tab.page.set_viewport_size({"width": width, "height": 800})
    assert not await tab.is_scrolled_sideways(), f"{tab.path} is wider than {width}"


async def _assert_is_a_page(tab: Tab, path: str, *, status: int = 200) -> None:
    """A page with a title and one main heading, which fits on a phone and on a screen."""
    answer = await tab.go(path)
    assert answer.status == status, path
    assert (await tab.page.title()).endswith(" · Routee Receiver")
    assert await tab.heading()
    for width in (SCREEN, PHONE):
        await _assert_fits(tab, width=width)


async def _assert_is_readable(tab: Tab) -> None:
    """For screen readers and for weak eyes, in both themes."""
    for scheme in ("light", "dark"):
        await tab.page.emulate_media(color_scheme=scheme)
        assert await tab.faults_for_readers() == [], f"{tab.path}, {scheme}"


@pytest.mark.parametrize("name", _NAMES)
async def test_a_page_fits_and_is_readable(open_: OpenTab, scene: Scene, name: str) -> None:
    tab = await open_(Scope.ADMIN)
    await _assert_is_a_page(tab, PAGES[name](scene))
    await _assert_is_readable(tab)


@pytest.mark.parametrize("name", _NAMES)
async def test_a_page_is_whole_without_script(open_: OpenTab, scene: Scene, name: str) -> None:
    tab = await open_(Scope.ADMIN, has_script=False)
    await _assert_is_a_page(tab, PAGES[name](scene))


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ui/sign-in", 200), ("/ui/no-such-page", 404), ("/ui/quarantine/999999", 404)],
)
async def test_a_page_of_an_error_fits_and_is_readable(
    open_: OpenTab, path: str, status: int
) -> None:
    tab = await open_(*([] if path == "/ui/sign-in" else [Scope.ADMIN]))
    await _assert_is_a_page(tab, path, status=status)
    await _assert_is_readable(tab)


async def test_a_page_without_the_scope_says_which_is_missing(open_: OpenTab) -> None:
    tab = await open_(Scope.READ)
    await _assert_is_a_page(tab, "/ui/quarantine", status=403)
    assert "This needs an API key of scope `admin`." in await tab.words()
    assert await tab.page.get_by_role("link", name="Quarantine").count() == 0


async def test_every_page_stays_below_the_path_of_a_proxy(
    open_: OpenTab, scene: Scene, tmp_path: Path
) -> None:
    with below_a_path(scene.service.url, tmp_path) as base_url:
        tab = await open_(base_url=base_url)
        _, key = scene.service.add_key(Scope.ADMIN)
        await tab.sign_in(key)
        assert tab.page.url.startswith(f"{base_url}/ui/")
        for page in PAGES.values():
            answer = await tab.go(page(scene))
            assert answer.status == 200, answer.url
            astray = [
                address
                for address in await tab.page.evaluate(_ADDRESSES)
                if not address.startswith((f"{base_url}/", "data:"))
            ]
            assert astray == [], answer.url


@pytest.mark.parametrize("path", ["/ui/sign-in", "/ui/"])
async def test_a_first_visit_is_small(open_: OpenTab, path: str) -> None:
    tab = await open_(*([] if path == "/ui/sign-in" else [Scope.ADMIN]))
    devtools = await tab.page.context.new_cdp_session(tab.page)
    sizes: list[float] = []
    devtools.on("Network.loadingFinished", lambda loaded: sizes.append(loaded["encodedDataLength"]))
    await devtools.send("Network.enable")
    await tab.go(path)
    await tab.page.wait_for_load_state("networkidle")
    assert len(sizes) > 3
    assert sum(sizes) <= FIRST_VISIT_BYTES
