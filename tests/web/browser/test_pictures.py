"""Pictures of every page for people to look at, in var/dashboard, and those of the documents."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from app.domain.api_key import Scope
from tests.web.browser.conftest import PHONE, SCREEN, OpenTab
from tests.web.browser.pages import PAGES
from tests.web.browser.scene import Scene

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "var/dashboard"
#: Pictures that the documents show, which `make pictures` copies to docs/images: page and width.
SHOWN: Final = {
    "dashboard-message": ("message-undelivered", SCREEN),
    "dashboard-campaign": ("campaign", SCREEN),
    "dashboard-overview": ("overview", SCREEN),
    "dashboard-on-a-phone": ("message-expired", PHONE),
}


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


async def test_the_pictures_of_the_documents_can_be_made_anew(open_: OpenTab, scene: Scene) -> None:
    folder = FOLDER / "docs"
    for name, (page, width) in SHOWN.items():
        tab = await open_(Scope.READ, width=width)
        await tab.go(PAGES[page](scene))
        await tab.page.screenshot(path=folder / f"{name}.png")
    shown = {file.stem for file in (ROOT / "docs/images").glob("dashboard-*.png")}
    assert shown == set(SHOWN)
