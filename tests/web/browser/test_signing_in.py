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
