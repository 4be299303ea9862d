"""A browser without a window: what it asks for, over a real socket, and what it keeps."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.domain.api_key import Scope
from tests.api.conftest import (
    Loop,
    Service,
    fast_service,
    loop,
    routee,
    routee_urls,
    service,
    shared_url,
)

__all__ = ["fast_service", "loop", "routee", "routee_urls", "service", "shared_url"]

_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')
_TAG = re.compile(r"<[^>]*>")


class Browser:
    """Keeps cookies, posts forms with their tokens, and says where it comes from."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = httpx.Client(
            base_url=service.url,
            trust_env=False,
            timeout=20,
            headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
        )

    def sign_in(self, *scopes: Scope) -> "Browser":
        """With a new key of *scopes*."""
        _, key = self.service.add_key(*scopes)
        answer = self.client.post("/ui/sign-in", data={"key": key})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/"), answer.text
        return self

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        return self.client.get(path, **options)

    def page(self, path: str, **options: Any) -> str:  # noqa: ANN401
        """The HTML of a page that there has to be."""
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.text

    def words(self, path: str, **options: Any) -> str:  # noqa: ANN401
        """What a person reads on a page."""
        return words_of(self.page(path, **options))

    def fragment(self, path: str, **headers: str) -> httpx.Response:
        """What the script gets of a page."""
        return self.get(path, headers={"X-Fragment": "live", **headers})

    def token(self, path: str = "/ui/shortcuts") -> str:
        """The token of the forms of this session."""
        found = _TOKEN.search(self.get(path).text)
        assert found
        return found[1]

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as a page of this session would."""
        return self.client.post(path, data={"token": self.token(), **fields})


def words_of(html: str) -> str:
    """The text of *html*, with one blank between words."""
    return " ".join(unescape(_TAG.sub(" ", html)).split())


def new_word() -> str:
    """A word that no other test has, without digits, which could be taken for a number."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:12])


@pytest.fixture
def browser(service: Service) -> Iterator[Callable[..., Browser]]:
    """Makes browsers, signed in with the scopes that are given, if any."""
    opened: list[Browser] = []

    def make(*scopes: Scope, of: Service = service) -> Browser:
        opened.append(Browser(of))
        return opened[-1].sign_in(*scopes) if scopes else opened[-1]

    yield make
    for one in opened:
        one.client.close()


_ = Loop
