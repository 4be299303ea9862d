"""Who sent a request: its connection's other end, or whom a trusted proxy names in its place."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from app.kit.addresses import Address

Network = IPv4Network | IPv6Network


def address_of(text: str) -> Address | None:
    """
    The address in *text*, which may have a port: 192.0.2.1:4711, [2001:db8::1]:4711.

    None: it is none. One of IPv4 that is written as one of IPv6 is the one of IPv4.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Whether *address* is in one of *networks*."""
    return any(address in network for network in networks)


def clients_of(
    peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> set[Address | None]:
    """
    The addresses of which each must be that of the client; None stands for one that is not known.

    They are more than one if both `X-Forwarded-For` and `Forwarded` name somebody: a proxy writes
    one of them, and passes on what a client says in the other.

    Args:
        peer: The address of the other end of the connection.
        headers: Of the request, with names in lower case.
        trusted: The networks of proxies that are believed.
    """
    address = address_of(peer)
    if address is None or not is_within(address, trusted):
        return {address}
    chains: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in _HOPS:
            chains.setdefault(name, []).extend(value.decode("latin-1").split(","))
    found = {_first_untrusted(_HOPS[name], chain, trusted) for name, chain in chains.items()}
    return found or {address}


def _first_untrusted(
    read: Callable[[str], str], chain: Sequence[str], trusted: Sequence[Network]
) -> Address | None:
    """Whom the last trusted proxy names; what stands to the left of it anybody may have written."""
    address = None
    for hop in reversed(chain):
        address = address_of(read(hop))
        if address is None or not is_within(address, trusted):
            break
    return address


def _node_of(element: str) -> str:
    """The `for` of an element of `Forwarded` (RFC 7239); empty if it is ambiguous."""
    if "\\" in element or element.count('"') % 2:  # of a quoted text that has a comma, perhaps
        return ""
    return next(_nodes(element), "")


def _nodes(element: str) -> Iterator[str]:
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            yield value


#: The headers that name clients, and how one hop of them is read.
_HOPS: Final[dict[bytes, Callable[[str], str]]] = {b"x-forwarded-for": str, b"forwarded": _node_of}
