"""Which IP addresses are on the public internet, and the addresses of a host name."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
#: Takes a host and a port, gives the host's addresses as text, the preferred one first.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

#: Networks that `is_global` allows, in some releases of Python, and that must not be called.
_REFUSED_IPV4: Final = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # a public address on paper: the host of a virtual machine at Azure
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays to 6to4
    )
)
_REFUSED_IPV6: Final = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them: it embeds any IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: it embeds any IPv4 address
        "3fff::/20",  # documentation
    )
)
#: The only allocated part of IPv6; outside are local, embedded and multicast addresses.
_ALLOCATED: Final = ip_network("2000::/3")
#: IPv4 addresses as networks with only IPv6 map them (RFC 6052).
_NAT64: Final = ip_network("64:ff9b::/96")
_IPV4_BITS: Final = 0xFFFF_FFFF


def is_public(address: Address) -> bool:
    """Whether *address*, and the IPv4 address that it may embed, is on the public internet."""
    if isinstance(address, IPv4Address):
        return _is_public_ipv4(address)
    if address.ipv4_mapped is not None:
        return _is_public_ipv4(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public_ipv4(IPv4Address(int(address) & _IPV4_BITS))
    return (
        address in _ALLOCATED
        and address.is_global
        and address.scope_id is None
        and not any(address in network for network in _REFUSED_IPV6)
    )


def _is_public_ipv4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _REFUSED_IPV4)
    )


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """
    The addresses that the operating system knows for *host*.

    Raises:
        OSError: it knows none.
        UnicodeError: *host* cannot be a host name.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
