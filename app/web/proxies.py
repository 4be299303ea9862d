"""What trusted proxies say of a request: who sent it, how, below which prefix, and for whom."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from app.kit.addresses import Address
from app.kit.client_address import address_of, clients_of, is_within

#: As proxies write it: /x, or /x/y. A browser would go up where there are dots.
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,64}){1,8}")
_MAX_NAME_CHARACTERS: Final = 200
#: A household or a customer of a provider has so much of IPv6.
_IPV6_HOST_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """How a request came here."""

    #: Of the client, of IPv6 its network; empty if it is not known.
    address: str
    #: Whether the client speaks TLS, as far as is known.
    is_secure: bool
    #: The path below which the service lies at the proxy, such as /x; empty without one.
    prefix: str
    #: Who the client is, if a proxy has signed somebody in.
    person: str | None


class Proxies:
    """
    Reads what proxies say, and believes only those that are trusted.

    Args:
        trusted: Their networks, as 10.0.0.0/8.
        header: The one that names who is signed in; empty for none.
    """

    def __init__(self, trusted: Iterable[str] = (), *, header: str = "") -> None:
        self._trusted = [ip_network(text) for text in trusted]
        self._header = header.lower()

    def origin_of(self, scope: Scope) -> Origin:
        """How the request of *scope* came here."""
        peer = (scope.get("client") or ("", 0))[0]
        clients = clients_of(peer, scope["headers"], self._trusted)
        client = next(iter(clients)) if len(clients) == 1 else None
        address = address_of(peer)
        is_secure, prefix = scope.get("scheme") == "https", str(scope.get("root_path") or "")
        if address is None or not is_within(address, self._trusted):
            return Origin(_network_of(client), is_secure, prefix, None)
        headers = Headers(scope=scope)
        # What stands before the last value, a client may have written.
        proto = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
        return Origin(
            _network_of(client),
            proto == "https" if proto else is_secure,
            _prefix_of(headers.get("x-forwarded-prefix", "")) or prefix,
            self._person_of(headers),
        )

    def _person_of(self, headers: Headers) -> str | None:
        if not self._header:
            return None
        # Two of them would be one of the proxy and one of the client.
        named = headers.getlist(self._header)
        name = _in_utf8(named[0]).strip() if len(named) == 1 else ""
        return name if name and len(name) <= _MAX_NAME_CHARACTERS else None


def _in_utf8(value: str) -> str:
    """A header's *value*, which was read as Latin-1, as nearly all programs mean it."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _prefix_of(text: str) -> str:
    prefix = text.strip().rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _network_of(address: Address | None) -> str:
    if address is None:
        return ""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_HOST_BITS), strict=False))
    return str(address)
