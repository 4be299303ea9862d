"""What the other tests rely on: a tab notices what is wrong with a page."""

import pytest
from playwright.async_api import Error

from tests.web.browser.conftest import OpenTab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_tab_notices_what_violates_the_policy(open_: OpenTab) -> None:
    tab = await open_()
    await tab.go("/ui/sign-in")
    await tab.page.evaluate("document.body.setAttribute('style', 'color: red')")
    with pytest.raises(Error, match="TrustedHTML"):
        await tab.page.evaluate("document.body.innerHTML = '<b>'")
    await tab.page.evaluate("fetch('http://127.0.0.2:9/').catch(() => {})")
    await tab.has_said_all()
    said = "".join(tab.violations)
    assert "violates style-src-attr" in said
    assert "violates require-trusted-types-for" in said
    assert "violates connect-src http://127.0.0.2:9/" in said
    tab.violations.clear()


async def test_without_script_a_tab_notices_violations_too(open_: OpenTab) -> None:
    tab = await open_(has_script=False)
    await tab.go("/ui/sign-in")
    await tab.page.evaluate("document.body.setAttribute('style', 'color: red')")
    await tab.has_said_all()
    assert "style" in "".join(tab.violations)
    tab.violations.clear()


async def test_a_tab_notices_what_a_screen_reader_cannot_read(open_: OpenTab) -> None:
    tab = await open_()
    await tab.go("/ui/sign-in")
    await tab.page.evaluate("document.querySelector('label').remove()")
    assert "label" in "".join(await tab.faults_for_readers())


async def test_a_tab_notices_a_page_that_is_too_wide(open_: OpenTab) -> None:
    tab = await open_()
    await tab.go("/ui/sign-in")
    await tab.page.evaluate("document.querySelector('h1').style.width = '9999px'")
    assert await tab.is_scrolled_sideways()
