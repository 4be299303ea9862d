"""No link of the dashboard leads nowhere."""

import re
from collections import Counter
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from app.domain.api_key import Scope
from tests.web.browser.conftest import cookie_of_session
from tests.web.browser.scene import Scene

#: Of pages of one kind, so many are opened.
_OF_A_KIND = 3
_ID = re.compile(r"(/ui/(?:campaigns|messages|quarantine)/)(?!replay)[^/]+")
_HREF = re.compile(r'href="([^"]*)"')


def test_every_link_leads_to_a_page(scene: Scene) -> None:
    _, key = scene.service.add_key(Scope.ADMIN)
    seen: set[str] = set()
    kinds: Counter[tuple[str, ...]] = Counter()
    waiting = ["/ui/"]
    with httpx.Client(base_url=scene.service.url, trust_env=False, timeout=30) as client:
        client.cookies.set(*cookie_of_session(scene.service, key))
        while waiting:
            address = waiting.pop()
            answer = client.get(address)
            assert answer.status_code == 200, address
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            for href in _HREF.findall(answer.text):
                target = urljoin(address, unescape(href)).partition("#")[0]
                kind = _kind(target)
                if target not in seen and target.startswith("/ui/") and kinds[kind] < _OF_A_KIND:
                    seen.add(target)
                    kinds[kind] += 1
                    waiting.append(target)
    assert len(kinds) > 15


def _kind(target: str) -> tuple[str, ...]:
    """Pages that differ in ids and values only are of one kind."""
    parts = urlsplit(target)
    return (_ID.sub(r"\1…", parts.path), *sorted(parse_qs(parts.query)))
