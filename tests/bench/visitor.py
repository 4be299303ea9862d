"""A person at the dashboard, without a browser: signed in, and with the time of each answer."""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import unescape
from typing import Final, NamedTuple

import httpx

#: As a browser of today, but without the codings that not all of them have.
_HEADERS: Final = {
    "Accept": "text/html",
    "Accept-Encoding": "gzip",
    "Sec-Fetch-Site": "same-origin",
}
_TIMEOUT_SECONDS: Final = 30.0
_TOKEN: Final = re.compile(r'name="token" value="([0-9a-f]+)"')
_FILE: Final = re.compile(r'(?:href|src)="([^"]*/ui/static/[^"]+)"')
_IMPORT: Final = re.compile(r'\bimport\s+(?:[^"\';]*\bfrom\s+)?["\'](\.[^"\']+)["\']')


class Answer(NamedTuple):
    """What came back, redirects followed, and how long it took."""

    status: int
    milliseconds: float
    #: As it came over the wire, without the headers.
    bytes: int
    text: str


class Visitor:
    """Asks as a browser does; *client* keeps the cookie of the session."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._token = ""

    @property
    def cookies(self) -> str:
        """All that are kept, as the header `Cookie` has them."""
        return "; ".join(f"{name}={value}" for name, value in self._client.cookies.items())

    async def sign_in(self, key: str) -> None:
        """
        Begin a session.

        Raises:
            PermissionError: the key is not taken.
        """
        answer = await self._client.post("/ui/sign-in", data={"key": key})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise PermissionError(f"the sign-in was answered {answer.status_code}")
        found = _TOKEN.search((await self.get("/ui/shortcuts")).text)
        self._token = found[1] if found else ""

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """A page, or anything else."""
        return await self._asked("GET", path, headers=headers)

    async def search(self, words: str) -> Answer:
        """What the search box leads to."""
        return await self._asked("POST", "/ui/search", data={"token": self._token, "q": words})

    async def first_visit(self, path: str) -> Mapping[str, int]:
        """The bytes of the page at *path* and of each file that it loads, by address."""
        page = await self.get(path)
        found = {path: page.bytes}
        missing = [unescape(address) for address in _FILE.findall(page.text)]
        while missing:
            address = missing.pop()
            if address not in found:
                file = await self.get(address)
                found[address] = file.bytes
                missing += _imports(address, file.text) if address.endswith(".js") else ()
        return found

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Answer:
        started = time.perf_counter()
        answer = await self._client.request(
            method, path, headers=headers, data=data, follow_redirects=True
        )
        milliseconds = 1000 * (time.perf_counter() - started)
        return Answer(answer.status_code, milliseconds, answer.num_bytes_downloaded, answer.text)


@asynccontextmanager
async def visiting(url: str) -> AsyncIterator[Visitor]:
    """Somebody who is not signed in yet, for the length of the block."""
    async with httpx.AsyncClient(
        base_url=url, headers=_HEADERS, timeout=_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        yield Visitor(client)


def _imports(address: str, script: str) -> list[str]:
    """The addresses of the modules that the one at *address* imports."""
    return [str(httpx.URL(address).join(name)) for name in _IMPORT.findall(script)]
