"""Signing in and out in a real browser."""

import pytest

from app.domain.api_key import Scope
from tests.web.browser.conftest import OpenTab
from tests.web.browser.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
async def test_a_key_begins_a_session_that_signing_out_ends(
    open_: OpenTab, scene: Scene, *, has_script: bool
) -> None:
    _, key = scene.service.add_key(Scope.READ)
    tab = await open_(has_script=has_script)
    await tab.go("/ui/shortcuts")
    assert tab.path == "/ui/sign-in?next=%2Fui%2Fshortcuts"
    await tab.page.get_by_label("API key").fill(key)
    await tab.press("Sign in")
    assert (tab.path, await tab.heading()) == ("/ui/shortcuts", "Keyboard shortcuts")
    assert "Signed in as tests (read)." in await tab.words("footer")
    await tab.press("Sign out", within="footer")
    await tab.go("/ui/shortcuts")
    assert await tab.heading() == "Sign in"


async def test_a_wrong_key_is_refused_with_a_sentence(open_: OpenTab) -> None:
    tab = await open_()
    await tab.sign_in("rr_wrong")
    assert "This API key is unknown, revoked or expired." in await tab.words()
    assert tab.path == "/ui/sign-in"


async def test_after_some_wrong_keys_a_page_asks_to_wait(open_: OpenTab) -> None:
    tab = await open_()
    # As if from elsewhere: the other tests sign in too.
    await tab.page.context.set_extra_http_headers({"X-Forwarded-For": "203.0.113.7"})
    for _ in range(6):
        await tab.sign_in("rr_wrong")
    assert "Wait for" in await tab.words()
    await tab.go("/ui/sign-in")
    assert await tab.heading() == "Sign in"


async def test_a_session_is_kept_from_scripts_and_from_other_sites(
    open_: OpenTab, scene: Scene
) -> None:
    tab = await open_()
    await tab.sign_in(scene.service.add_key(Scope.READ)[1])
    await tab.go("/ui/")
    assert await tab.page.evaluate("document.cookie") == ""
    (cookie,) = await tab.page.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
