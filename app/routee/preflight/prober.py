"""
Calls to URLs that API callers chose, protected against server-side request forgery.

A call must not reach our own machine, our network or a cloud's metadata service. Therefore each
name is resolved once, all its addresses are checked, and the connection goes to a checked address:
the name could resolve to another one a moment later. The certificate is still checked against the
name. Redirects are checked like the first URL. Only the head of an answer is read.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import httpx

from app.kit.addresses import Address, Resolve, is_public, resolve_by_system

HTTPS_PORT: Final = 443
MAX_REDIRECTS: Final = 5

_MAX_ADDRESSES: Final = 4
#: Short, so that one dead address of several leaves time for the others.
_CONNECT_SECONDS: Final = 2.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_LENGTH_DIGITS: Final = 18
_HEADERS: Final = {
    "Accept": "*/*",
    # Content-Length is then the length of the file itself, not of its compressed form.
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "routee-receiver",
}


class Unreachable(Exception):
    """The URL may not be called, or its host does not answer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a host's answer about a file."""

    status: int
    content_length: int | None
    #: Lower case, without parameters: `image/png`.
    content_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """
    Asks hosts for the head of a file. Concurrent calls are fine.

    Proxies and certificates from the environment are not used; *ssl_context* decides which
    certificates are trusted, see `httpx.create_ssl_context(trust_env=False)`.
    """

    ssl_context: ssl.SSLContext
    resolve: Resolve = resolve_by_system
    allows: Callable[[Address], bool] = is_public
    #: Other ports are mostly not meant for the public, and calling them on behalf of API callers
    #: would make this service a port scanner.
    ports: frozenset[int] = frozenset({HTTPS_PORT})
    #: For one URL with all its redirects.
    time_limit_seconds: float = 5.0

    async def head(self, url: str) -> Head:
        """
        The head of the file at *url*, after its redirects.

        Raises:
            Unreachable: it may not be called, or it does not answer in time.
        """
        try:
            async with asyncio.timeout(self.time_limit_seconds):
                return _read(await self._follow(url))
        except TimeoutError:
            raise Unreachable(
                f"did not answer within {self.time_limit_seconds:g} seconds: try again, or use a "
                "faster host"
            ) from None
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise Unreachable(_advice(error)) from error

    async def _follow(self, first: str) -> httpx.Response:
        url = self._checked(first)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._ask(url)
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not location:
                return response
            url = self._checked(location, base=url)
        raise Unreachable(f"redirects more than {MAX_REDIRECTS} times: give the final URL")

    def _checked(self, url: str, *, base: httpx.URL | None = None) -> httpx.URL:
        try:
            parsed = base.join(url) if base else httpx.URL(url)
            problem = next((advice for fits, advice in self._demands(parsed) if not fits), None)
        except (httpx.InvalidURL, ValueError):
            problem = "a URL that can be read: correct it"
        if problem:
            subject = "redirects to what is not" if base else "is not"
            raise Unreachable(f"{subject} {problem}")
        return parsed

    def _demands(self, url: httpx.URL) -> Iterator[tuple[bool, str]]:
        yield url.scheme == "https", "an https:// URL: use one"
        yield not url.userinfo, "free of a user name and password: remove them from the URL"
        yield bool(url.host), "a URL with a host: add it"
        yield _port(url) in self.ports, "at port 443: serve the file there"

    async def _ask(self, url: httpx.URL) -> httpx.Response:
        *others, last = (await self._addresses(url))[:_MAX_ADDRESSES]
        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._ask_at(address, url)
        return await self._ask_at(last, url)

    async def _addresses(self, url: httpx.URL) -> Sequence[Address]:
        """All addresses of the host. If one of them is not allowed, none is."""
        try:
            found = await self.resolve(url.raw_host.decode("ascii"), _port(url))
            addresses = [ip_address(text) for text in found]
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            raise Unreachable("is at a host that cannot be found: check its name")
        # The message names no address, so callers cannot explore our network with it.
        if not all(map(self.allows, addresses)):
            raise Unreachable("is at a host that is not on the public internet: move the file")
        return addresses

    async def _ask_at(self, address: Address, url: httpx.URL) -> httpx.Response:
        request = httpx.Request(
            "HEAD",
            url.copy_with(host=str(address)),
            headers={**_HEADERS, "Host": url.netloc.decode("ascii")},
            extensions={
                "sni_hostname": url.raw_host.decode("ascii"),
                "timeout": {"connect": _CONNECT_SECONDS},
            },
        )
        # Each call has its own transport: a pooled connection to this address could belong to
        # another name. Unlike a client, a transport has no proxies, cookies or redirects.
        async with httpx.AsyncHTTPTransport(verify=self.ssl_context, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
            return response


def _read(response: httpx.Response) -> Head:
    length = response.headers.get("content-length", "")
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Head(
        status=response.status_code,
        content_length=int(length) if _is_length(length) else None,
        content_type=media_type or None,
    )


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_LENGTH_DIGITS


def _port(url: httpx.URL) -> int:
    return HTTPS_PORT if url.port is None else url.port


def _advice(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has a TLS certificate that is not accepted ({cause.verify_message}): renew it"
        cause = cause.__cause__ or cause.__context__
    return "could not be reached: check that the file can be downloaded, and try again"
