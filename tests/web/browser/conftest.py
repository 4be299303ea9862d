"""A real Chromium, and tabs in it that are signed in."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from app.domain.api_key import Scope
from tests.api.conftest import Loop, Service
from tests.conftest import fresh_database
from tests.web.browser.scene import Scene, running_scene
from tests.web.browser.tab import Tab, open_tab

PHONE: Final = 360
SCREEN: Final = 1280
_HEIGHT: Final = 800

OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture(scope="session")
def scene(loop: Loop, server_url: str) -> Iterator[Scene]:
    """One service for all tests in a browser, which change only what they made themselves."""
    with fresh_database(server_url) as url, running_scene(loop, url) as scene:
        yield scene


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The Chromium of this machine; without one the tests are skipped."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    async with async_playwright() as playwright:
        # Without a sandbox of its own it runs as root too; it opens no pages but ours.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def keys() -> dict[frozenset[Scope], str]:
    """The keys that were made, by their scopes."""
    return {}


@pytest_asyncio.fixture(loop_scope="session")
async def open_(
    chromium: Browser, scene: Scene, keys: dict[frozenset[Scope], str]
) -> AsyncIterator[OpenTab]:
    """Opens tabs, each like a browser of its own; nothing they show may violate a policy."""
    tabs: list[Tab] = []

    async def opened(
        *scopes: Scope,
        width: int = SCREEN,
        is_dark: bool = False,
        has_script: bool = True,
        base_url: str = scene.service.url,
        key: str | None = None,
    ) -> Tab:
        context = await chromium.new_context(
            viewport={"width": width, "height": _HEIGHT},
            color_scheme="dark" if is_dark else "light",
            java_script_enabled=has_script,
            locale="en-GB",
            timezone_id="Europe/Athens",
        )
        if scopes and key is None:
            wanted = frozenset(scopes)
            key = keys.get(wanted) or keys.setdefault(wanted, scene.service.add_key(*scopes)[1])
        if key is not None:
            name, value = cookie_of_session(scene.service, key)
            await context.add_cookies([{"name": name, "value": value, "url": base_url}])
        tabs.append(await open_tab(context, base_url, has_script=has_script))
        return tabs[-1]

    yield opened
    for tab in tabs:
        await tab.has_said_all()
        await tab.page.context.close()
    assert [violation for tab in tabs for violation in tab.violations] == []


def cookie_of_session(service: Service, key: str) -> tuple[str, str]:
    """The name and the value of a new session's cookie."""
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        client.post("/ui/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "same-origin"})
        ((name, value),) = client.cookies.items()
    return name, value
