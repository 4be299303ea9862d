"""A tab of a real browser, which notes what violates a policy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response

#: Violations of the content security policy and of trusted types, in all frames.
_REPORT_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
    reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
#: The browser says so of each answer that is an error, which the tests look at themselves.
_STATUS: Final = re.compile(r"Failed to load resource: the server responded with a status of")
_SETTLED_MS: Final = 5000


@dataclass
class Tab:
    """One page of a context of its own."""

    page: Page
    base_url: str
    has_script: bool
    #: What went wrong on any page that was shown so far.
    violations: list[str] = field(default_factory=list)

    async def go(self, path: str) -> Response:
        """Open *path* of the service, as it is typed into the browser."""
        answer = await self.page.goto(f"{self.base_url}{path}")
        assert answer is not None
        return answer

    async def press(self, name: str, *, within: str = "main") -> None:
        """Press the button *name*, and wait for the page that it leads to."""
        async with self.page.expect_navigation():
            await self.page.locator(within).get_by_role("button", name=name).click()

    async def follow(self, name: str, *, within: str = "main") -> None:
        """Follow the first link *name*, and wait for the page that it leads to."""
        async with self.page.expect_navigation():
            await self.page.locator(within).get_by_role("link", name=name).first.click()

    async def sign_in(self, key: str) -> None:
        """Sign in on the page of a browser without a session."""
        await self.go("/ui/sign-in")
        await self.page.get_by_label("API key").fill(key)
        await self.press("Sign in")

    async def words(self, selector: str = "main") -> str:
        """What a person reads there, with one blank between words."""
        return " ".join((await self.page.locator(selector).inner_text()).split())

    async def heading(self) -> str:
        """The page's main heading."""
        return " ".join((await self.page.locator("h1").inner_text()).split())

    async def rows(self) -> list[str]:
        """What a person reads in each line of the page's list."""
        lines = await self.page.locator("table.list tbody tr").all_inner_texts()
        return [" ".join(line.split()) for line in lines]

    @property
    def path(self) -> str:
        """What is in the address bar, without the origin."""
        parts = urlsplit(self.page.url)
        path = parts.path.removeprefix(urlsplit(self.base_url).path)
        return f"{path}?{parts.query}" if parts.query else path

    async def is_scrolled_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        script = "document.scrollingElement.scrollWidth > innerWidth"
        return bool(await self.page.evaluate(script))

    async def has_said_all(self) -> None:
        """Return when what the page has reported so far is among the violations."""
        # Its messages arrive in their order; reporting is a task of its own after what is at fault.
        for _ in range(3):
            await self.page.evaluate("0")

    async def faults_for_readers(self) -> list[str]:
        """What axe-core finds on the page."""
        results = await Axe().run(self.page)
        return [
            f"{found['id']}: {', '.join(_targets(found['nodes']))}"
            for found in results.response["violations"]
        ]


def _targets(nodes: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{node['target']} {node['html'][:120]}" for node in nodes]


async def open_tab(context: BrowserContext, base_url: str, *, has_script: bool) -> Tab:
    """A tab of *context*, whose pages are all of the service at *base_url*."""
    tab = Tab(await context.new_page(), base_url, has_script)
    host = urlsplit(base_url).netloc

    def note_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _STATUS.match(message.text):
            tab.violations.append(f"{message.type} on {tab.page.url}: {message.text}")

    def note_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.netloc != host:
            tab.violations.append(f"{tab.page.url} asks {request.url}")

    def note_violation(source: object, violation: str) -> None:  # noqa: ARG001 (Playwright's own)
        tab.violations.append(f"{tab.page.url} violates {violation}")

    async def note_dialog(dialog: Dialog) -> None:
        tab.violations.append(f"{tab.page.url} says {dialog.message}")
        await dialog.dismiss()

    tab.page.on("console", note_console)
    tab.page.on("dialog", note_dialog)
    tab.page.on("pageerror", lambda error: tab.violations.append(f"{tab.page.url}: {error}"))
    tab.page.on("request", note_request)
    await context.expose_binding("reportViolation", note_violation)
    await context.add_init_script(_REPORT_VIOLATIONS)
    tab.page.set_default_timeout(_SETTLED_MS)
    return tab
