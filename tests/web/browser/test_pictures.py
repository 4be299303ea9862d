"""Pictures of every page for people to look at, in var/dashboard."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from app.domain.api_key import Scope
from tests.web.browser.conftest import PHONE, SCREEN, OpenTab
from tests.web.browser.pages import PAGES
from tests.web.browser.scene import Scene

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

FOLDER: Final = Path(__file__).parents[3] / "var/dashboard"


@pytest.mark.parametrize("width", [PHONE, SCREEN])
async def test_every_page_has_its_pictures(open_: OpenTab, scene: Scene, width: int) -> None:
    folder = FOLDER / str(width)
    shutil.rmtree(folder, ignore_errors=True)
    tab = await open_(Scope.ADMIN, width=width)
    for name, page in PAGES.items():
        await tab.go(page(scene))
        for scheme in ("light", "dark"):
            await tab.page.emulate_media(color_scheme=scheme)
            file = folder / f"{name}-{scheme}.png"
            await tab.page.screenshot(path=file, full_page=True)
            assert file.stat().st_size > 0
