from ipaddress import ip_address, ip_network

import pytest

from app.kit.client_address import address_of, clients_of

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def _clients(peer: str, *headers: tuple[bytes, bytes]) -> set[str]:
    return {str(client) for client in clients_of(peer, headers, TRUSTED)}


@pytest.mark.parametrize(
    "text",
    [
        *("192.0.2.1", " 192.0.2.1 ", "192.0.2.1:4711", '"192.0.2.1:4711"'),
        *("::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80"),
    ],
)
def test_an_address_of_ipv4_is_the_same_however_it_is_written(text: str) -> None:
    assert address_of(text) == ip_address("192.0.2.1")


@pytest.mark.parametrize("text", ["2001:db8::1", "[2001:db8::1]", '"[2001:db8::1]:443"'])
def test_an_address_of_ipv6_may_have_a_port(text: str) -> None:
    assert address_of(text) == ip_address("2001:db8::1")


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "192.0.2", "a.example", "[", "1:2"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_of(text) is None


def test_only_a_trusted_peer_is_believed() -> None:
    header = (b"x-forwarded-for", b"192.0.2.1")
    assert _clients("198.51.100.9", header) == {"198.51.100.9"}
    assert _clients("10.1.2.3", header) == {"192.0.2.1"}
    assert _clients("10.1.2.3") == {"10.1.2.3"}
    assert _clients("", header) == {"None"}


@pytest.mark.parametrize(
    ("value", "client"),
    [
        (b"192.0.2.1, 198.51.100.9", "198.51.100.9"),
        (b"192.0.2.1, 198.51.100.9, 10.0.0.7, fd00::7", "198.51.100.9"),
        (b"10.0.0.8, 10.0.0.7", "10.0.0.8"),
        (b"192.0.2.1, unknown", "None"),
        (b"192.0.2.1,", "None"),
    ],
)
def test_the_last_that_is_no_proxy_counts_and_not_what_a_client_wrote(
    value: bytes, client: str
) -> None:
    assert _clients("10.1.2.3", (b"x-forwarded-for", value)) == {client}
    first, _, last = value.rpartition(b",")
    lines = [(b"x-forwarded-for", part) for part in (first, last)]
    assert _clients("10.1.2.3", *lines) == {client}


@pytest.mark.parametrize(
    ("value", "client"),
    [
        (b"for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
        (b'proto=http; For="[2001:db8::1]:4711"', "2001:db8::1"),
        (b"for=192.0.2.1, for=198.51.100.9", "198.51.100.9"),
        (b'for=198.51.100.9;host="a, for=192.0.2.1"', "None"),
        (b'for=198.51.100.9;host="a, for=192.0.2.1;x=\\"b"', "None"),
        (b"proto=https", "None"),
    ],
)
def test_the_standard_header_is_read_too(value: bytes, client: str) -> None:
    assert _clients("10.1.2.3", (b"forwarded", value)) == {client}


def test_both_headers_count_as_a_proxy_passes_on_the_one_that_it_does_not_write() -> None:
    said, written = (b"forwarded", b"for=192.0.2.1"), (b"x-forwarded-for", b"198.51.100.9")
    assert _clients("10.1.2.3", said, written) == {"192.0.2.1", "198.51.100.9"}
